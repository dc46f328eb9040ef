//! A request under way.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::meter::Running;

pin_project! {
    /// The response of the service within. Dropped before that, the request counts as cancelled.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct RequestFuture<F> {
        #[pin]
        pub(super) inner: F,
        pub(super) running: Running,
    }
}

impl<F, Body, Error> Future for RequestFuture<F>
where
    F: Future<Output = Result<Response<Body>, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let done = ready!(this.inner.poll(context));
        match &done {
            Ok(response) => this.running.responded(response.status()),
            Err(_) => this.running.failed(),
        }
        Poll::Ready(done)
    }
}
