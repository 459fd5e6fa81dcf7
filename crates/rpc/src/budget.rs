//! Whose budgets a call uses where it lands, and what its caller is told when they run out.

use std::sync::Arc;

use atoll_web::account::Account;
use atoll_web::fetcher::RemoteError;
use atoll_web::inbox::Inbox;

use crate::call::Call;
use crate::object::CONTEXT_GONE;

/// The invocation that answers a call, and the Worker that it runs in.
pub struct Landing {
    /// What the invocation's CPU time and its messages are charged to.
    pub account: Arc<Account>,
    /// What is on its way to the Worker.
    pub inbox: Arc<Inbox>,
}

impl Landing {
    /// Counts a call as under way until its arguments are read.
    ///
    /// # Errors
    /// When the Worker has too much waiting for it.
    pub fn charge(&self, call: &mut Call) -> Result<(), RemoteError> {
        call.charge = Some(self.inbox.take_from(call.origin.sender.as_ref(), call.size())?);
        Ok(())
    }

    /// Why nobody answers a call there any more.
    pub fn gone(&self) -> RemoteError {
        let reason = self.account.meter().reason().or_else(|| self.inbox.ended());
        RemoteError::error(reason.as_deref().unwrap_or(CONTEXT_GONE))
    }
}
