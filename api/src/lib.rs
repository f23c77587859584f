//! Herald's Kubernetes objects, labels and annotations, and their conversion to `herald-core`.

#![forbid(unsafe_code)]
