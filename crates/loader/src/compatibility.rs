//! Compatibility dates and flags, with the reference's dates.

use atoll_isolate::JsError;

/// The newest compatibility date that this build knows.
pub const NEWEST_DATE: &str = "2026-11-17";

/// A flag: its name, the name that turns it off, the date from which it is on, whether it is experimental.
struct Flag {
    on: &'static str,
    off: &'static str,
    since: Option<&'static str>,
    experimental: bool,
}

const fn flag(on: &'static str, off: &'static str, since: &'static str) -> Flag {
    Flag { on, off, since: Some(since), experimental: false }
}

const fn opt_in(on: &'static str, off: &'static str) -> Flag {
    Flag { on, off, since: None, experimental: false }
}

const fn experimental(on: &'static str, off: &'static str) -> Flag {
    Flag { on, off, since: None, experimental: true }
}

/// Flags that the reference knows; those that change nothing here are accepted all the same.
const FLAGS: &[Flag] = &[
    flag("formdata_parser_supports_files", "formdata_parser_converts_files_to_strings", "2021-11-03"),
    flag("fetch_refuses_unknown_protocols", "fetch_treats_unknown_protocols_as_http", "2021-11-10"),
    flag("durable_object_fetch_requires_full_url", "durable_object_fetch_allows_relative_url", "2021-11-10"),
    flag("streams_byob_reader_detaches_buffer", "streams_byob_reader_does_not_detach_buffer", "2021-11-10"),
    flag("minimal_subrequests", "no_minimal_subrequests", "2022-04-05"),
    flag("global_navigator", "no_global_navigator", "2022-03-21"),
    flag("cots_on_external_fetch", "no_cots_on_external_fetch", "2022-03-08"),
    flag("export_commonjs_default", "export_commonjs_namespace", "2022-10-31"),
    flag("url_standard", "url_original", "2022-10-31"),
    flag("streams_enable_constructors", "streams_disable_constructors", "2022-11-30"),
    flag(
        "transformstream_enable_standard_constructor",
        "transformstream_disable_standard_constructor",
        "2022-11-30",
    ),
    flag("no_substitute_null", "substitute_null", "2022-06-01"),
    flag("capture_async_api_throws", "do_not_capture_async_api_throws", "2022-10-31"),
    flag("dont_substitute_null_on_type_error", "substitute_null_on_type_error", "2022-06-01"),
    flag(
        "html_rewriter_treats_esi_include_as_void_tag",
        "no_html_rewriter_treats_esi_include_as_void_tag",
        "2023-01-01",
    ),
    flag("http_headers_getsetcookie", "no_http_headers_getsetcookie", "2023-03-01"),
    flag("dispatch_exception_tunneling", "no_dispatch_exception_tunneling", "2023-03-08"),
    flag("strict_compression_checks", "no_strict_compression_checks", "2023-08-01"),
    flag("strict_crypto_checks", "no_strict_crypto_checks", "2023-08-01"),
    flag("unwrap_custom_thenables", "no_unwrap_custom_thenables", "2024-09-01"),
    flag("fetcher_no_get_put_delete", "fetcher_has_get_put_delete", "2024-03-26"),
    flag("no_import_scripts", "no_no_import_scripts", "2024-03-04"),
    flag("rpc", "no_rpc", "2024-04-03"),
    flag("queues_json_messages", "no_queues_json_messages", "2024-03-18"),
    flag("fetch_standard_url", "fetch_legacy_url", "2024-06-03"),
    flag("nodejs_compat_v2", "no_nodejs_compat_v2", "2026-08-04"),
    flag("cache_option_enabled", "cache_option_disabled", "2024-11-11"),
    flag(
        "handle_cross_request_promise_resolution",
        "no_handle_cross_request_promise_resolution",
        "2024-10-14",
    ),
    flag("brotli_content_encoding", "no_brotli_content_encoding", "2024-04-29"),
    flag("set_tostring_tag", "do_not_set_tostring_tag", "2024-09-26"),
    flag("internal_stream_byob_return_view", "internal_stream_byob_return_undefined", "2024-05-13"),
    flag("assets_navigation_prefers_asset_serving", "assets_navigation_has_no_effect", "2025-04-01"),
    flag("urlpattern_standard", "urlpattern_original", "2025-05-01"),
    flag("enable_weak_ref", "disable_weak_ref", "2025-05-05"),
    flag("navigator_language", "no_navigator_language", "2025-05-19"),
    flag("allow_eval_during_startup", "disallow_eval_during_startup", "2025-06-01"),
    flag("throw_on_unrecognized_import_assertion", "ignore_unrecognized_import_assertion", "2025-06-16"),
    flag("python_workers_durable_objects", "no_python_workers_durable_objects", "2025-06-16"),
    flag("request_cf_overrides_cache_rules", "no_request_cf_overrides_cache_rules", "2025-04-02"),
    flag(
        "bind_asynclocalstorage_snapshot_to_request",
        "do_not_bind_asynclocalstorage_snapshot_to_request",
        "2025-06-16",
    ),
    flag("expose_global_message_channel", "no_expose_global_message_channel", "2025-08-15"),
    flag("enable_nodejs_http_modules", "disable_nodejs_http_modules", "2025-08-15"),
    flag("enable_nodejs_http_server_modules", "disable_nodejs_http_server_modules", "2025-09-01"),
    flag("nodejs_zlib", "no_nodejs_zlib", "2024-09-23"),
    flag("enable_ctx_exports", "disable_ctx_exports", "2025-11-17"),
    flag("rpc_params_dup_stubs", "rpc_params_transfer_stubs", "2026-01-20"),
    flag("enhanced_error_serialization", "legacy_error_serialization", "2026-04-21"),
    opt_in("nodejs_compat", "no_nodejs_compat"),
    opt_in("nodejs_als", "no_nodejs_als"),
    opt_in("nodejs_compat_populate_process_env", "nodejs_compat_do_not_populate_process_env"),
    opt_in("js_rpc", "no_js_rpc"),
    opt_in("new_module_registry", "legacy_module_registry"),
    opt_in("global_fetch_strictly_public", "global_fetch_private_origin"),
    opt_in("python_workers", "no_python_workers"),
    opt_in("disable_python_external_sdk", "enable_python_external_sdk"),
    opt_in("enable_request_signal", "disable_request_signal"),
    opt_in("request_signal_passthrough", "no_request_signal_passthrough"),
    opt_in("disable_importable_env", "enable_importable_env"),
    experimental("experimental", "no_experimental"),
    experimental("enable_abortsignal_rpc", "no_abortsignal_rpc"),
    experimental("enable_web_file_system", "disable_web_file_system"),
    experimental("allow_insecure_inefficient_logged_eval", "no_allow_insecure_inefficient_logged_eval"),
    experimental("precise_timers", "no_precise_timers"),
    experimental("unsupported_process_actual_platform", "no_unsupported_process_actual_platform"),
    experimental("workflows_step_rollback", "no_workflows_step_rollback"),
    experimental("service_binding_extra_handlers", "service_binding_no_extra_handlers"),
    experimental("durable_object_rename", "no_durable_object_rename"),
    experimental("webgpu", "no_webgpu"),
];

/// Whether this is a date in the reference's sense: `YYYY-MM-DD`, year 2xxx, month 1-12, day 1-31.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let number =
        |range: std::ops::Range<usize>| text.get(range).and_then(|t| t.parse::<u32>().ok()).unwrap_or(0);
    bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() })
        && bytes[0] == b'2'
        && (1..=12).contains(&number(5..7))
        && (1..=31).contains(&number(8..10))
}

/// The flags that are on for a date and a list of flags.
///
/// # Errors
/// The reference's texts, for the first problem.
pub fn resolve(date: &str, flags: &[String], allow_experimental: bool) -> Result<Vec<String>, JsError> {
    if !is_date(date) {
        return Err(JsError::error(format!("Invalid compatibility date: {date}")));
    }
    if date > NEWEST_DATE {
        return Err(JsError::error(format!(
            "This Worker requires compatibility date \"{date}\", but the newest date supported by this server binary \
             is \"{NEWEST_DATE}\"."
        )));
    }
    for (index, name) in flags.iter().enumerate() {
        let Some(known) = FLAGS.iter().find(|f| f.on == name || f.off == name) else {
            return Err(JsError::error(format!("No such compatibility flag: {name}")));
        };
        if flags[..index].contains(name) {
            return Err(JsError::error(format!("Compatibility flag specified multiple times: {name}")));
        }
        if known.on == name && flags.iter().any(|f| f == known.off) {
            return Err(JsError::error(format!(
                "Compatibility flags are mutually contradictory: {} vs {}",
                known.on, known.off
            )));
        }
        if known.experimental && known.on == name && !allow_experimental {
            return Err(JsError::error(format!(
                "The compatibility flag {name} is experimental and may break or be removed in a future version of \
                 workerd. To use this flag, you must pass --experimental on the command line."
            )));
        }
    }
    let given = |name: &str| flags.iter().any(|f| f == name);
    let on = FLAGS.iter().filter(|f| given(f.on) || (f.since.is_some_and(|s| s <= date) && !given(f.off)));
    Ok(on.map(|f| f.on.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn dates_turn_flags_on() {
        assert!(!resolve("2025-11-16", &[], false).unwrap().contains(&"enable_ctx_exports".to_owned()));
        assert!(resolve("2025-11-17", &[], false).unwrap().contains(&"enable_ctx_exports".to_owned()));
        let off = resolve("2026-06-01", &flags(&["disable_ctx_exports"]), false).unwrap();
        assert!(!off.contains(&"enable_ctx_exports".to_owned()));
    }

    #[test]
    fn problems_have_the_references_texts() {
        let error = |date: &str, names: &[&str]| resolve(date, &flags(names), false).unwrap_err().message;
        assert_eq!(error("undefined", &[]), "Invalid compatibility date: undefined");
        assert_eq!(error("2026-13-01", &[]), "Invalid compatibility date: 2026-13-01");
        assert!(resolve("2022-02-30", &[], false).is_ok());
        assert_eq!(error("2026-01-01", &["nonsense"]), "No such compatibility flag: nonsense");
        assert_eq!(error("2026-01-01", &["rpc", "rpc"]), "Compatibility flag specified multiple times: rpc");
        assert_eq!(
            error("2026-01-01", &["rpc", "no_rpc"]),
            "Compatibility flags are mutually contradictory: rpc vs no_rpc"
        );
        assert!(
            error("2026-01-01", &["experimental"])
                .starts_with("The compatibility flag experimental is experimental")
        );
        assert!(
            error("2999-01-01", &[]).starts_with("This Worker requires compatibility date \"2999-01-01\"")
        );
    }
}
