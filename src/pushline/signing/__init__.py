"""Who made a model folder, and that it is still what they made.

manifest.py  the digest of every file of a folder, in the layout of OpenSSF model signing, and where the model was trained
bundle.py    the signature over it: a Sigstore bundle, made with a key
keyless.py   the same bundle as `actions/attest` makes it, signed by the identity of a workflow
signers.py   `signers/` of the repository: who is trusted; this machine's own key, and signing with it
verification.py  the steps that `deploy`, `serve` and `registry restore` go through before they take a folder
"""

from pushline.signing.manifest import SIGNATURE
from pushline.signing.signers import Signers
from pushline.signing.verification import trusted, verify

__all__ = ["SIGNATURE", "Signers", "trusted", "verify"]
