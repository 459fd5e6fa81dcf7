//! Live objects that other isolates hold: functions and `RpcTarget`s that crossed as stubs.

use std::sync::Arc;

use atoll_isolate::{Envelope, JsError, Native, WeakIsolate, arguments, natives, realm, v8, values};
use atoll_web::clone::adopt;
use atoll_web::context::{self, ContextId, Counted};

use crate::budget::Landing;
use crate::call::Followup;
use crate::service::ServiceCap;

/// An object that a context exported. While somebody holds it, its context stays open; when the last holder lets go,
/// its disposer runs, in a later turn of its own isolate.
pub struct ObjectRef {
    isolate: WeakIsolate,
    landing: Arc<Landing>,
    context: ContextId,
    export: u32,
    #[expect(dead_code, reason = "counts while the object is held")]
    counted: Option<Counted>,
}

/// What callers get when the context that hosts an object has ended.
pub const CONTEXT_GONE: &str = "The execution context which hosts this callback is no longer running.";

impl ObjectRef {
    /// As [`ObjectRef::send`].
    pub fn follow(&self, work: Followup) {
        self.send(work);
    }

    /// Does work in the object's isolate and context, in order. The work gets nothing where either is gone.
    pub fn send<W>(&self, work: W)
    where
        W: for<'s, 'i> FnOnce(Option<&mut v8::PinScope<'s, 'i>>) + Send + 'static,
    {
        let Some(isolate) = self.isolate.upgrade() else { return work(None) };
        let context = self.context;
        // If the isolate closes before it is delivered, the guard still gives the work its nothing.
        let mut guard = Guard(Some(work));
        isolate.send(Envelope::new(self.landing.account.meter().clone(), move |scope| {
            let Some(work) = guard.0.take() else { return };
            if context::enter(scope, context) { work(Some(scope)) } else { work(None) }
        }));
    }

    /// Where calls on it land.
    pub fn landing(&self) -> &Arc<Landing> {
        &self.landing
    }

    /// Its number in its isolate.
    pub fn export(&self) -> u32 {
        self.export
    }
}

struct Guard<W: for<'s, 'i> FnOnce(Option<&mut v8::PinScope<'s, 'i>>)>(Option<W>);

impl<W: for<'s, 'i> FnOnce(Option<&mut v8::PinScope<'s, 'i>>)> Drop for Guard<W> {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            work(None);
        }
    }
}

impl Drop for ObjectRef {
    fn drop(&mut self) {
        let export = self.export;
        self.follow(Box::new(move |scope| {
            if let Some(scope) = scope {
                let export = v8::Integer::new_from_unsigned(scope, export);
                realm::call(scope, "rpc/dispatch", "releaseExport", &[export.into()]);
            }
        }));
    }
}

pub(crate) fn natives() -> Vec<Native> {
    natives![
        "exportObject" => export_object,
        "localStub" => local_stub,
        "ownExport" => own_export,
        "adoptObject" => adopt_object,
        "adoptService" => adopt_service,
    ]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

fn new_object(
    scope: &mut v8::PinScope<'_, '_>,
    export: u32,
) -> Option<(Arc<ObjectRef>, Result<(), JsError>)> {
    let context = context::current(scope);
    let account = context::account(scope, context)?;
    let (counted, refused) = match context::count_object(scope) {
        Ok(counted) => (counted, Ok(())),
        Err(error) => (None, Err(error)),
    };
    let environment = context::environment(scope);
    let landing = Arc::new(Landing { account, inbox: environment.inbox.clone() });
    let isolate = environment.isolate.clone();
    // Made in any case: dropping it releases the export.
    Some((Arc::new(ObjectRef { isolate, landing, context, export, counted }), refused))
}

/// The object with this export number joins the message that is being written; gives its index there.
fn export_object<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let export = arguments::integer(scope, &args, 0);
    let Some((object, counted)) = new_object(scope, export) else { return };
    match counted.and_then(|()| values::attach(scope, object)) {
        Ok(Some(index)) => rv.set_uint32(index),
        Ok(None) => {}
        Err(error) => error.throw(scope),
    }
}

/// `ownExport(handle)`: the export number of an object of the current context, or 0.
fn own_export<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let current = context::current(scope);
    let own = context::environment(scope).isolate.clone();
    let export = context::resource_as::<ObjectRef>(scope, handle)
        .filter(|object| object.context == current && object.isolate.same(&own))
        .map_or(0, |object| object.export);
    rv.set_uint32(export);
}

fn adopt_object<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, rv: Return<'_>) {
    adopt::<ObjectRef>(scope, &args, rv);
}

fn adopt_service<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, rv: Return<'_>) {
    adopt::<ServiceCap>(scope, &args, rv);
}

/// A handle of its own isolate to the object with this export number: `new RpcStub(target)`.
fn local_stub<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let export = arguments::integer(scope, &args, 0);
    let Some((object, counted)) = new_object(scope, export) else { return };
    if let Err(error) = counted {
        return error.throw(scope);
    }
    let owner = context::current(scope);
    rv.set_uint32(context::add_resource(scope, owner, object));
}
