//! What configurations of the client and of the daemons have in common: `${VAR}`, and the key that was meant.

/// Replaces `${VAR}` and `${VAR:-default}` in a TOML text, outside comments.
///
/// # Errors
/// The line and what is wrong there, when a variable is not set or a brace is missing.
pub fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, (usize, String)> {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.lines().enumerate() {
        let (code, comment) = line.split_at(comment_start(line));
        let mut rest = code;
        while let Some((before, after)) = rest.split_once("${") {
            let (inside, after) =
                after.split_once('}').ok_or_else(|| (index + 1, "`${` without `}`".to_owned()))?;
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default.to_owned())),
                None => (inside, None),
            };
            let value = variable(name).or(default).ok_or_else(|| {
                (index + 1, format!("variable {name} is not set; set it or write ${{{name}:-default}}"))
            })?;
            out.push_str(before);
            out.push_str(&value.replace('\\', "\\\\").replace('"', "\\\""));
            rest = after;
        }
        out.push_str(rest);
        out.push_str(comment);
        out.push('\n');
    }
    Ok(out)
}

/// Where a `#` outside quotes begins, or the end of the line.
fn comment_start(line: &str) -> usize {
    let mut quote = None;
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            (None, '#') => return at,
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
    }
    line.len()
}

/// The name nearest to `unknown`, if one is near enough to be what was meant.
pub fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    /// Jaro-Winkler similarity from which a name is worth suggesting.
    const NEAR: f64 = 0.75;
    let scored = known.map(|name| (strsim::jaro_winkler(unknown, name), name));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 >= NEAR).then(|| best.1.to_owned())
}
