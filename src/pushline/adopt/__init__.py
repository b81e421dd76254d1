"""`pushline adopt`: turn this repository to another table."""
