//! Waits for answers of the core and raises its errors in Ruby.

use encrypted_s3_core::{Result as CoreResult, task};
use magnus::{Error, Ruby};

use crate::{error, gvl};

/// Waits for an answer of the core. Raises its error.
pub fn call<T: Send>(ruby: &Ruby, future: impl Future<Output = CoreResult<T>> + Send) -> Result<T, Error> {
    gvl::wait(ruby, future)?.map_err(|error| error::raised(ruby, &error))
}

/// Waits for requests that run in their own task.
pub fn request<T: Send + 'static>(
    ruby: &Ruby,
    requests: impl Future<Output = CoreResult<T>> + Send + 'static,
) -> Result<CoreResult<T>, Error> {
    gvl::wait(ruby, task::run(requests))
}

/// Waits for requests that run in their own task. Raises their error.
pub fn answered<T: Send + 'static>(
    ruby: &Ruby,
    requests: impl Future<Output = CoreResult<T>> + Send + 'static,
) -> Result<T, Error> {
    request(ruby, requests)?.map_err(|error| error::raised(ruby, &error))
}
