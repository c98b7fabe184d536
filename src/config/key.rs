use super::field::Field;
use super::kind::Kind;
use super::setting::Setting;

/// One key of the config, declared once: it is read, checked, printed and documented from here.
#[derive(Debug)]
pub(super) struct Key<S: 'static> {
    /// Within the pool or the file, with the tables it is in: `health.interval`.
    pub(super) name: &'static str,
    /// What its value looks like.
    pub(super) kind: Kind,
    /// Whether `"none"` switches it off.
    pub(super) optional: bool,
    /// What it means, in a line or two.
    pub(super) doc: &'static str,
    /// What it is set to; none where it does not apply, as with another backend's keys.
    pub(super) get: fn(&S) -> Option<Setting>,
    /// Sets it; none where it does not apply or the field cannot hold it.
    pub(super) set: fn(&mut S, Setting) -> Option<()>,
}

impl<S> Key<S> {
    /// The table within the pool or the file that the key is in, and its name there.
    pub(super) fn split(&self) -> (Option<&'static str>, &'static str) {
        match self.name.rsplit_once('.') {
            Some((table, name)) => (Some(table), name),
            None => (None, self.name),
        }
    }

    /// Its bounds, for people.
    pub(super) fn bounds(&self) -> String {
        self.kind.bounds(self.optional)
    }
}

/// Whether a field's type is an `Option`, from the field itself.
pub(super) const fn is_optional<S, F: Field>(_field: fn(&S) -> &F) -> bool {
    F::OPTIONAL
}

/// A table of keys. The name of a key is the path of its field; within `in Variant`, that of the backend's
/// name and the field in the variant's settings.
macro_rules! keys {
    ($spec:ty: $($head:ident $(.$tail:ident)*: $kind:expr, $doc:expr;)+) => {
        &[$(Key {
            name: concat!(stringify!($head) $(, ".", stringify!($tail))*),
            kind: $kind,
            optional: is_optional(|spec: &$spec| &spec.$head$(.$tail)*),
            doc: $doc,
            get: |spec: &$spec| Some(Field::setting(&spec.$head$(.$tail)*)),
            set: |spec: &mut $spec, setting| Field::assign(&mut spec.$head$(.$tail)*, setting),
        }),+]
    };
}

/// A table of the keys that count only where an enum among the spec's fields is of certain variants.
macro_rules! variant_keys {
    (
        $table:literal in $($place:ident).+: $enum:ident::[$($variant:ident)|+]($settings:ty):
        $($head:ident $(.$tail:ident)*: $kind:expr, $doc:expr;)+
    ) => {
        variant_keys!(@ [$($place).+] [settings; $($enum::$variant(settings))|+] $settings;
            $($table, $head [$(.$tail)*]: $kind, $doc;)+)
    };
    (
        @ $place:tt [$bound:ident; $variants:pat] $settings:ty;
        $($table:literal, $head:ident $tail:tt: $kind:expr, $doc:expr;)+
    ) => {
        &[$(variant_keys!(@@ $place [$bound; $variants] $settings; $table, $head $tail: $kind, $doc)),+]
    };
    (
        @@ [$($place:ident).+] [$bound:ident; $variants:pat] $settings:ty;
        $table:literal, $head:ident [$(.$tail:ident)*]: $kind:expr, $doc:expr
    ) => {
        Key {
            name: concat!($table, ".", stringify!($head) $(, ".", stringify!($tail))*),
            kind: $kind,
            optional: is_optional(|settings: &$settings| &settings.$head$(.$tail)*),
            doc: $doc,
            get: |spec: &PoolSpec| match &spec.$($place).+ {
                $variants => Some(Field::setting(&$bound.$head$(.$tail)*)),
                _ => None,
            },
            set: |spec: &mut PoolSpec, setting| match &mut spec.$($place).+ {
                $variants => Field::assign(&mut $bound.$head$(.$tail)*, setting),
                _ => None,
            },
        }
    };
}

pub(super) use {keys, variant_keys};
