//! What `check` says of an input's files as they are now.

use std::{fs::File, io, path::Path};

use metlog_pipeline::daemon::Findings;

use super::{
    candidates::{find, folders},
    config::Compiled,
};

/// Files that are named; of more there is the number.
const NAMED: usize = 10;

/// Finds the files of the input `section`, and those that this user may not read.
pub fn look_around(section: &str, compiled: &Compiled, findings: &mut Findings) {
    let found = find(compiled);
    let folders = folders(&compiled.paths);
    let folders = folders.iter().map(AsRef::as_ref);
    // Also what is in a folder that may not be listed is not found.
    unreadable(section, folders, |path| path.read_dir().map(drop), findings);
    if found.is_empty() {
        let paths = compiled.paths.join(", ");
        findings.warnings.push(format!("{section}.paths: no file is there now: {paths}"));
        return;
    }
    findings.found.push(format!("{section}: {} files", found.len()));
    let files = found.iter().map(|candidate| candidate.path.as_path());
    unreadable(section, files, |path| File::open(path).map(drop), findings);
}

fn unreadable<'a>(
    section: &str,
    paths: impl Iterator<Item = &'a Path>,
    open: impl Fn(&Path) -> io::Result<()>,
    findings: &mut Findings,
) {
    let mut wrong = paths.filter_map(|path| Some((path, open(path).err()?)));
    for (path, error) in wrong.by_ref().take(NAMED) {
        let path = path.display();
        findings.errors.push(format!("{section}.paths: {path} cannot be read by this user: {error}"));
    }
    let more = wrong.count();
    if more > 0 {
        findings.errors.push(format!("{section}.paths: {more} more cannot be read"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn files_are_counted_and_patterns_without_any_are_named() {
        let home = tempfile::tempdir().unwrap();
        for name in ["a.log", "b.log", "c.txt"] {
            std::fs::write(home.path().join(name), "").unwrap();
        }
        let look = |pattern: &str| {
            let text = format!("paths = [\"{}/{pattern}\"]", home.path().display());
            let config: super::super::FilesConfig = toml::from_str(&text).unwrap();
            let mut findings = Findings::default();
            look_around("input.files.a", &config.compile("", &BTreeMap::new()).unwrap(), &mut findings);
            assert_eq!(findings.errors, Vec::<String>::new());
            (findings.found, findings.warnings)
        };
        assert_eq!(look("*.log"), (vec!["input.files.a: 2 files".to_owned()], Vec::new()));
        let (found, warnings) = look("*.json");
        assert!(found.is_empty() && warnings.len() == 1, "{warnings:?}");
        assert!(warnings[0].starts_with("input.files.a.paths: no file is there now: /"), "{warnings:?}");
    }

    #[test]
    fn what_may_not_be_read_is_named_and_much_of_it_is_counted() {
        let denied = |_: &Path| Err(io::ErrorKind::PermissionDenied.into());
        for (count, said) in [(1, 1), (NAMED, NAMED), (NAMED + 5, NAMED + 1)] {
            let mut findings = Findings::default();
            unreadable("input.files.a", (0..count).map(|_| Path::new("/var/log/x")), denied, &mut findings);
            assert_eq!(findings.errors.len(), said);
            assert!(findings.errors[0].contains("/var/log/x cannot be read by this user: permission denied"));
        }
    }
}
