//! What each key of a configuration means: from a document's tree to checked settings, without touching the disk.

use crate::bindings::BindingNames;
use crate::compatibility_date;
use crate::error::ConfigError;
use crate::key_path::KeyPath;
use crate::keys;
use crate::node::{Node, Span};
use crate::outbound;
use crate::project::{AtollSettings, LoaderBinding, ModuleKind, Rule, ServiceBinding, ServiceTarget};
use crate::reader::{Fields, MAX_NAME_CHARS, Reader};

/// What the file says. What it does not say is empty; [`load`](crate::load) fills that in.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(crate) name: Option<String>,
    /// `main` as it is written, and where.
    pub(crate) main: Option<(String, Span)>,
    pub(crate) compatibility_date: Option<String>,
    pub(crate) compatibility_flags: Vec<String>,
    pub(crate) vars: Vec<(String, serde_json::Value)>,
    pub(crate) services: Vec<ServiceBinding>,
    pub(crate) worker_loaders: Vec<LoaderBinding>,
    pub(crate) no_bundle: bool,
    pub(crate) jsx_factory: Option<String>,
    pub(crate) jsx_fragment: Option<String>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) atoll: AtollSettings,
}

impl Declared {
    /// The key whose bindings have one of this name, except `vars`.
    pub(crate) fn owner_of(&self, name: &str) -> Option<&'static str> {
        if self.services.iter().any(|service| service.binding == name) {
            return Some("services");
        }
        self.worker_loaders.iter().any(|loader| loader.binding == name).then_some("worker_loaders")
    }
}

/// Reads a whole document.
pub(crate) fn read(document: &Node, reader: &mut Reader<'_>) -> Result<Declared, ConfigError> {
    let root = KeyPath::Root;
    let fields = reader.fields(document, &root, &keys::PROJECT)?;
    let mut names = BindingNames::default();
    let name = fields.optional("name", |node, path| reader.name(node, path))?;
    let main = fields.optional("main", |node, path| Ok((reader.text(node, path)?, node.span.clone())))?;
    let compatibility_date = fields.optional("compatibility_date", |node, path| date(reader, node, path))?;
    let flags = fields.optional("compatibility_flags", |node, path| reader.names(node, path))?;
    let vars = fields.optional("vars", |node, path| vars(reader, node, path, &mut names))?;
    let services = fields.optional("services", |node, path| services(reader, node, path, &mut names))?;
    let loaders = fields.optional("worker_loaders", |node, path| loaders(reader, node, path, &mut names))?;
    let no_bundle = fields.optional("no_bundle", |node, path| reader.boolean(node, path))?;
    let jsx_factory = fields.optional("jsx_factory", |node, path| jsx_name(reader, node, path))?;
    let jsx_fragment = fields.optional("jsx_fragment", |node, path| jsx_name(reader, node, path))?;
    let rules = fields.optional("rules", |node, path| rules(reader, node, path))?;
    let atoll = fields.optional("atoll", |node, path| atoll(reader, node, path))?;
    Ok(Declared {
        name,
        main,
        compatibility_date,
        compatibility_flags: flags.unwrap_or_default(),
        vars: vars.unwrap_or_default(),
        services: services.unwrap_or_default(),
        worker_loaders: loaders.unwrap_or_default(),
        no_bundle: no_bundle.unwrap_or(false),
        jsx_factory,
        jsx_fragment,
        rules: rules.unwrap_or_default(),
        atoll: atoll.unwrap_or_default(),
    })
}

fn date(reader: &Reader<'_>, node: &Node, path: &KeyPath<'_>) -> Result<String, ConfigError> {
    let date = reader.name(node, path)?;
    compatibility_date::check(&date).map_err(|message| reader.invalid(&node.span, message))?;
    Ok(date)
}

/// Names with dots between them, such as `React.createElement`.
fn jsx_name(reader: &Reader<'_>, node: &Node, path: &KeyPath<'_>) -> Result<String, ConfigError> {
    let name = reader.name(node, path)?;
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
    };
    if name.split('.').all(is_name) {
        return Ok(name);
    }
    Err(reader.invalid(&node.span, format!("`{path}` must be a name such as `h` or `React.createElement`")))
}

fn vars(
    reader: &Reader<'_>,
    node: &Node,
    path: &KeyPath<'_>,
    names: &mut BindingNames,
) -> Result<Vec<(String, serde_json::Value)>, ConfigError> {
    let entries = reader.entries(node, path)?;
    let mut vars = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = KeyPath::Key(path, &entry.key);
        let (key, span) = (&entry.key, &entry.key_span);
        reader.check_string(key, span, format_args!("the name of `{path}`"), MAX_NAME_CHARS)?;
        names.claim(reader, key, &path, span)?;
        vars.push((key.clone(), entry.node.to_json()));
    }
    Ok(vars)
}

fn services(
    reader: &mut Reader<'_>,
    node: &Node,
    path: &KeyPath<'_>,
    names: &mut BindingNames,
) -> Result<Vec<ServiceBinding>, ConfigError> {
    let items = reader.items(node, path, "an array of objects")?;
    let mut services = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = KeyPath::Index(path, index);
        let fields = reader.fields(item, &path, &keys::SERVICE)?;
        let binding = binding_name(reader, &fields, &path, names)?;
        let ServiceTarget { service, entrypoint } = target(reader, &fields)?;
        let props = fields.optional("props", |node, path| {
            reader.entries(node, path)?;
            Ok(node.to_json())
        })?;
        services.push(ServiceBinding { binding, service, entrypoint, props });
    }
    Ok(services)
}

fn loaders(
    reader: &mut Reader<'_>,
    node: &Node,
    path: &KeyPath<'_>,
    names: &mut BindingNames,
) -> Result<Vec<LoaderBinding>, ConfigError> {
    let items = reader.items(node, path, "an array of objects")?;
    let mut loaders = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = KeyPath::Index(path, index);
        let fields = reader.fields(item, &path, &keys::WORKER_LOADER)?;
        let binding = binding_name(reader, &fields, &path, names)?;
        let id = fields.optional("id", |node, path| reader.name(node, path))?;
        loaders.push(LoaderBinding { binding, id });
    }
    Ok(loaders)
}

/// Reads the key `binding` of an object and makes sure that no other binding has that name.
fn binding_name(
    reader: &Reader<'_>,
    fields: &Fields<'_>,
    path: &KeyPath<'_>,
    names: &mut BindingNames,
) -> Result<String, ConfigError> {
    let name = fields.required_name(reader, "binding")?;
    names.claim(reader, &name, &KeyPath::Key(path, "binding"), fields.span("binding"))?;
    Ok(name)
}

/// Reads the keys `service` and `entrypoint` of an object.
fn target(reader: &Reader<'_>, fields: &Fields<'_>) -> Result<ServiceTarget, ConfigError> {
    let service = fields.required_name(reader, "service")?;
    let entrypoint = fields.optional("entrypoint", |node, path| reader.name(node, path))?;
    Ok(ServiceTarget { service, entrypoint })
}

fn rules(reader: &mut Reader<'_>, node: &Node, path: &KeyPath<'_>) -> Result<Vec<Rule>, ConfigError> {
    let items = reader.items(node, path, "an array of objects")?;
    let mut rules = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = KeyPath::Index(path, index);
        let fields = reader.fields(item, &path, &keys::RULE)?;
        let kind = fields.optional("type", |node, path| module_kind(reader, node, path))?;
        let kind = kind.ok_or_else(|| fields.missing(reader, "type", "a string"))?;
        let globs = fields.optional("globs", |node, path| reader.texts(node, path))?;
        let globs = globs.ok_or_else(|| fields.missing(reader, "globs", "an array of strings"))?;
        let fallthrough = fields.optional("fallthrough", |node, path| reader.boolean(node, path))?;
        rules.push(Rule { kind, globs, fallthrough: fallthrough.unwrap_or(false) });
    }
    Ok(rules)
}

fn module_kind(reader: &Reader<'_>, node: &Node, path: &KeyPath<'_>) -> Result<ModuleKind, ConfigError> {
    let given = reader.name(node, path)?;
    ModuleKind::ALL.into_iter().find(|kind| kind.name() == given).ok_or_else(|| {
        let known = ModuleKind::ALL.map(ModuleKind::name).join(", ");
        reader.invalid(&node.span, format!("`{path}` is \"{given}\"; it must be one of: {known}"))
    })
}

fn atoll(reader: &mut Reader<'_>, node: &Node, path: &KeyPath<'_>) -> Result<AtollSettings, ConfigError> {
    let fields = reader.fields(node, path, &keys::ATOLL)?;
    let allow = fields.optional("outbound", |node, path| {
        let fields = reader.fields(node, path, &keys::OUTBOUND)?;
        fields.optional("allow", |node, path| allowed(reader, node, path))
    })?;
    let global_outbound = fields.optional("global_outbound", |node, path| {
        let fields = reader.fields(node, path, &keys::SERVICE_TARGET)?;
        target(reader, &fields)
    })?;
    Ok(AtollSettings { outbound_allow: allow.flatten().unwrap_or_default(), global_outbound })
}

fn allowed(reader: &Reader<'_>, node: &Node, path: &KeyPath<'_>) -> Result<Vec<String>, ConfigError> {
    let items = reader.items(node, path, "an array of strings")?;
    let mut allowed = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = KeyPath::Index(path, index);
        // 255 characters hold every host name with its port.
        let entry = reader.name(item, &path)?;
        let entry = outbound::normalise(&entry)
            .map_err(|reason| reader.invalid(&item.span, format!("`{path}` {reason}")))?;
        allowed.push(entry);
    }
    Ok(allowed)
}
