//! Making the startup blob and the code cache. Runs at build time, in two processes: V8 allows one startup blob for
//! each process, and a code cache belongs to the blob that it was made under.

use crate::extension::{Extension, Startup, external_references};
use crate::heap::{Heap, HeapLimits};
use crate::realm;

/// Makes the startup blob from the manifests. The process must not have made an isolate before, nor make one after.
///
/// # Errors
/// The first runtime script that does not compile or throws.
pub fn make_blob(extensions: &'static [&'static Extension]) -> Result<Vec<u8>, String> {
    let references: &'static [v8::ExternalReference] =
        Box::leak(external_references(extensions).into_boxed_slice());
    let startup = Startup::new(extensions, &[], &[]);
    let mut isolate = v8::Isolate::snapshot_creator(Some(references.into()), None);
    let built = {
        v8::scope!(let scope, &mut isolate);
        let context = v8::Context::new(scope, v8::ContextOptions::default());
        scope.set_default_context(context);
        let scope = &mut v8::ContextScope::new(scope, context);
        let built = realm::build(scope, startup);
        // Handles in the slot would keep the isolate from being serialised.
        scope.remove_slot::<realm::Realm>();
        built
    };
    if let Err(error) = built {
        // The isolate cannot be dropped without making a blob.
        let _ = isolate.create_blob(v8::FunctionCodeHandling::Keep);
        return Err(error);
    }
    let blob = isolate.create_blob(v8::FunctionCodeHandling::Keep).ok_or("V8 made no blob")?;
    Ok(blob.to_vec())
}

/// Makes the code cache for all lazy scripts, by name, under the startup's blob.
pub fn make_cache(startup: &'static Startup) -> Vec<(&'static str, Vec<u8>)> {
    let heap = Heap::new(startup, HeapLimits { heap_bytes: 256 << 20 });
    heap.enter(|scope| {
        let lazy = startup.extensions.iter().flat_map(|e| e.scripts).filter(|s| !s.eager);
        lazy.filter_map(|script| {
            v8::scope!(let scope, scope);
            let parameters = ["exports", "require", "natives", "primordials"];
            let function = realm::compile_eagerly(scope, script.name, script.source, &parameters)?;
            Some((script.name, function.create_code_cache()?.to_vec()))
        })
        .collect()
    })
}
