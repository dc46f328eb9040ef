//! Configuration by `METLOG_*` variables.
//!
//! The daemons have variables of that prefix as well, and so may an application: one that is no setting is left alone,
//! and told of when it is nearly one. An empty variable is one that is not set.

use super::{found::Found, keys, raw::Raw, text::nearest};

/// Variables of the daemons.
const OF_OTHERS: [&str; 2] = ["METLOG_LOG", "METLOG_DATA_DIR"];

/// How errors call this source.
const PLACE: &str = "environment";

/// Reads the variables of settings among `variables`.
pub(super) fn read(variables: impl IntoIterator<Item = (String, String)>) -> Found {
    let mut found = Found::default();
    for (variable, value) in variables {
        let Some(key) = variable.strip_prefix(keys::PREFIX).map(str::to_ascii_lowercase) else { continue };
        let is_key = keys::variable(&key) == variable && keys::find(&key).is_some();
        if is_key && !value.is_empty() {
            found.add(PLACE, &key, Raw::Loose(value, ','), keys::variable);
        } else if !is_key {
            found.warnings.extend(misspelt(&variable, &key));
        }
    }
    found
}

/// What to say of a variable that is nearly a setting.
fn misspelt(variable: &str, key: &str) -> Option<String> {
    /// Jaro-Winkler similarity from which a stranger is taken for a slip of the pen: a letter or two.
    const SLIP: f64 = 0.95;
    let known = nearest(key, keys::keys()).filter(|known| strsim::jaro_winkler(key, known) >= SLIP)?;
    let meant = keys::variable(&known);
    (!OF_OTHERS.contains(&variable))
        .then(|| format!("{PLACE}: {variable} is no setting; did you mean `{meant}`?"))
}
