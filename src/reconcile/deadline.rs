//! The deadline of a question to a sink.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use super::error::SinkError;

/// Returns the sink's answer, or an error when it takes longer than `patience`.
pub(super) async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, SinkError>>,
) -> Result<T, SinkError> {
    match timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(SinkError::Unavailable(format!(
            "no answer within {} s",
            patience.as_secs()
        ))),
    }
}
