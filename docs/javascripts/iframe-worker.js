// From a folder (file://) a browser starts no worker, and the search is one. Its script then runs in a hidden frame instead,
// where "self", "onmessage" and "postMessage" mean what they mean in a worker.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.documentElement.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => this.hear("message", new MessageEvent("message", { data }));
      const script = this.frame.contentDocument.createElement("script");
      script.src = new URL(url, location.href).href;
      script.onload = () => {
        const waiting = this.waiting;
        this.waiting = null;
        waiting.forEach((data) => this.postMessage(data));
      };
      script.onerror = () => this.hear("error", new Event("error"));
      this.frame.contentDocument.documentElement.append(script);
    }
    hear(kind, event) {
      setTimeout(() => {
        this.dispatchEvent(event);
        this["on" + kind]?.(event);
      });
    }
    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else setTimeout(() => this.frame.contentWindow?.dispatchEvent(new MessageEvent("message", { data })));
    }
    terminate() {
      this.frame.remove();
    }
  };
}
