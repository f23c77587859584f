//! From the text of Kubernetes objects to the types that decide, and back. Errors are sentences for conditions.
