//! A path: its pattern, its fields, what answers each operation, and its documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::field::{Field, FieldData, FieldSchema};
use super::field_type::{FieldType, FieldValue};
use super::pattern::{Pattern, PatternError};
use super::unknown::{self, Misnomer};
use crate::logical::{Error, Operation, Request, Response};

/// What a handler gives back; `Ok(None)` is the answer without content.
pub type Answer = Result<Option<Response>, Error>;

pub(super) type Handler<S> =
    Box<dyn Fn(Arc<S>, Request, FieldData) -> BoxFuture<'static, Answer> + Send + Sync>;
type ExistenceCheck<S> = Box<
    dyn Fn(Arc<S>, Request, FieldData) -> BoxFuture<'static, Result<bool, Error>> + Send + Sync,
>;

/// One path of an engine whose state is `S`.
pub struct Path<S> {
    template: &'static str,
    fields: Vec<FieldSchema>,
    misnomers: Vec<Misnomer>,
    refuses_unknown: bool,
    operations: BTreeMap<Operation, (Handler<S>, OperationDocs)>,
    exists: Option<ExistenceCheck<S>>,
    docs: PathDocs,
}

/// What help texts and the OpenAPI document say of a path.
#[derive(Clone, Copy, Debug, Default)]
pub struct PathDocs {
    /// One line.
    pub synopsis: &'static str,
    /// The whole story.
    pub description: &'static str,
    /// Ends the operation ids; one text per choice of the template, separated by `|`. A choice
    /// without a text takes the path's own words.
    pub operation_suffix: &'static str,
}

/// What the OpenAPI document says of one operation, and which nodes may answer it.
#[derive(Clone, Copy, Debug)]
pub struct OperationDocs {
    /// One line; empty takes the path's synopsis.
    pub summary: &'static str,
    /// The verb of the operation id; empty takes the operation's own.
    pub verb: &'static str,
    /// Like [`PathDocs::operation_suffix`], for this operation only. With a verb and no suffix at
    /// all, the id ends with the verb.
    pub suffix: &'static str,
    /// Standbys and secondaries hand the request to the active node.
    pub forward: bool,
    /// The answer has a lease, which a standby cannot keep: it hands the request to the active
    /// node. A secondary keeps leases of its own.
    pub leased: bool,
    /// The answer is of what only the active node knows: a standby hands the request to it.
    pub of_active_node: bool,
    /// The content type of an answer that clients read as it is ([`Response::raw`]); empty for JSON.
    pub raw: &'static str,
    /// What the answer's data may hold.
    pub response: &'static [ResponseField],
}

impl OperationDocs {
    /// Nothing said.
    pub const NONE: Self = Self {
        summary: "",
        verb: "",
        suffix: "",
        forward: false,
        leased: false,
        of_active_node: false,
        raw: "",
        response: &[],
    };
}

/// One key of an answer's data.
#[derive(Clone, Copy, Debug)]
pub struct ResponseField {
    /// The key.
    pub name: &'static str,
    /// The type of its value; any of them may be `null`.
    pub field_type: FieldType,
    /// What it tells.
    pub description: &'static str,
}

impl ResponseField {
    /// A key, the type of its value, and what it tells.
    pub const fn new(name: &'static str, field_type: FieldType, description: &'static str) -> Self {
        Self {
            name,
            field_type,
            description,
        }
    }
}

impl<S: Send + Sync + 'static> Path<S> {
    /// A path that matches `template` (see [`super::pattern`]).
    pub fn new(template: &'static str) -> Self {
        Self {
            template,
            fields: Vec::new(),
            misnomers: Vec::new(),
            refuses_unknown: false,
            operations: BTreeMap::new(),
            exists: None,
            docs: PathDocs::default(),
        }
    }

    /// Declares a field, captured from the path or sent with the request.
    #[must_use]
    pub fn field<T: FieldValue>(mut self, field: &Field<T>) -> Self {
        self.fields.push(field.schema());
        self
    }

    /// Names that are no fields of this path and are sent nevertheless, each with what to do
    /// instead. What is only misspelled is found without.
    #[must_use]
    pub fn misnomers(mut self, misnomers: &[(&'static str, &'static str)]) -> Self {
        self.misnomers.extend(misnomers);
        self
    }

    /// A write with a name that is no field does nothing but say so: where a field that is misspelled
    /// makes the difference between a look and what cannot be undone.
    #[must_use]
    pub fn refuses_unknown(mut self) -> Self {
        self.refuses_unknown = true;
        self
    }

    /// Sets what answers `operation`.
    #[must_use]
    pub fn on<F, R>(self, operation: Operation, handler: F) -> Self
    where
        F: Fn(Arc<S>, Request, FieldData) -> R + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
    {
        self.on_with(operation, OperationDocs::NONE, handler)
    }

    /// Sets what answers `operation`, with its documentation.
    #[must_use]
    pub fn on_with<F, R>(mut self, operation: Operation, docs: OperationDocs, handler: F) -> Self
    where
        F: Fn(Arc<S>, Request, FieldData) -> R + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
    {
        let handler: Handler<S> =
            Box::new(move |state, request, data| handler(state, request, data).boxed());
        self.operations.insert(operation, (handler, docs));
        self
    }

    /// Sets what tells create from update, so that a policy may grant one without the other.
    /// Without it every write is an update. A create goes to the handler of updates when it has
    /// none of its own.
    #[must_use]
    pub fn exists<F, R>(mut self, check: F) -> Self
    where
        F: Fn(Arc<S>, Request, FieldData) -> R + Send + Sync + 'static,
        R: Future<Output = Result<bool, Error>> + Send + 'static,
    {
        self.exists = Some(Box::new(move |state, request, data| {
            check(state, request, data).boxed()
        }));
        self
    }

    /// Sets the documentation.
    #[must_use]
    pub fn docs(mut self, docs: PathDocs) -> Self {
        self.docs = docs;
        self
    }

    pub(super) fn compile(self) -> Result<Route<S>, PatternError> {
        let pattern = Pattern::new(self.template)?;
        let mut declared = BTreeSet::new();
        for field in &self.fields {
            if !declared.insert(field.name) {
                let reason = format!("declares the field {:?} twice", field.name);
                return Err(PatternError::new(self.template, reason));
            }
        }
        if let Some(name) = pattern.names().find(|name| !declared.contains(name)) {
            let reason = format!("captures {name:?} without declaring it as a field");
            return Err(PatternError::new(self.template, reason));
        }
        Ok(Route {
            pattern,
            fields: self.fields.into(),
            misnomers: self.misnomers,
            refuses_unknown: self.refuses_unknown,
            operations: self.operations,
            exists: self.exists,
            docs: self.docs,
        })
    }
}

impl<S> std::fmt::Debug for Path<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Path").field(&self.template).finish()
    }
}

/// A [`Path`] ready to match requests.
pub(super) struct Route<S> {
    pub(super) pattern: Pattern,
    pub(super) fields: Arc<[FieldSchema]>,
    misnomers: Vec<Misnomer>,
    refuses_unknown: bool,
    pub(super) operations: BTreeMap<Operation, (Handler<S>, OperationDocs)>,
    pub(super) exists: Option<ExistenceCheck<S>>,
    pub(super) docs: PathDocs,
}

impl<S> Route<S> {
    /// Warnings of names that are no fields.
    pub(super) fn unknown(&self, names: &[&str]) -> Vec<String> {
        let captured: Vec<_> = self.pattern.names().collect();
        unknown::warnings(names, &self.fields, &captured, &self.misnomers)
    }

    /// Whether a write with such names is refused.
    pub(super) fn refuse_unknown(&self, names: &[&str]) -> Result<(), Error> {
        if !self.refuses_unknown || names.is_empty() {
            return Ok(());
        }
        let captured: Vec<_> = self.pattern.names().collect();
        Err(Error::invalid(unknown::refusal(
            names,
            &self.fields,
            &captured,
        )))
    }

    /// What answers `operation`. A create is an update where the path does not tell them apart.
    pub(super) fn operation(&self, operation: &Operation) -> Option<&(Handler<S>, OperationDocs)> {
        self.operations.get(operation).or_else(|| match operation {
            Operation::Create => self.operations.get(&Operation::Update),
            _ => None,
        })
    }
}
