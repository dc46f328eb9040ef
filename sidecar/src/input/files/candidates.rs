//! The files that an input's patterns find now.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use glob::{MatchOptions, Pattern, glob_with};

use super::{
    config::Compiled,
    marks::Inode,
    order::{Order, Place},
};

/// `*` finds neither hidden files nor what lies in a folder below, as in a shell.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// A file that is there.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its name.
    pub path: PathBuf,
    /// Which file it is.
    pub inode: Inode,
    /// How large it is.
    pub size: u64,
    /// When it was written to.
    pub modified: SystemTime,
    /// The stream it is part of.
    pub place: Place,
}

/// Every file that the patterns find, each once, in order of name.
pub fn find(compiled: &Compiled) -> Vec<Candidate> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for pattern in &compiled.paths {
        // A folder that may not be read has no files to read.
        let paths = glob_with(pattern, OPTIONS).into_iter().flatten().filter_map(Result::ok);
        for path in paths.filter(|path| !is_excluded(&compiled.exclude, path)) {
            found.extend(candidate(path, &compiled.order).filter(|it| seen.insert(it.inode)));
        }
    }
    found
}

fn candidate(path: PathBuf, order: &Order) -> Option<Candidate> {
    // Of a link, what it points to.
    let found = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let place = order.place(&path, modified)?;
    let inode = Inode { device: found.dev(), inode: found.ino() };
    Some(Candidate { path, inode, size: found.size(), modified, place })
}

/// By the whole path or by the name alone.
fn is_excluded(exclude: &[Pattern], path: &Path) -> bool {
    let name = path.file_name().map(Path::new).unwrap_or(path);
    exclude
        .iter()
        .any(|pattern| pattern.matches_path_with(path, OPTIONS) || pattern.matches_path_with(name, OPTIONS))
}

/// The folders in which files of these patterns can appear, and those in which such folders can.
pub fn folders(patterns: &[String]) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for pattern in patterns {
        for above in Path::new(pattern).ancestors().skip(1) {
            let text = above.to_string_lossy();
            let found = glob_with(&text, OPTIONS).into_iter().flatten().filter_map(Result::ok);
            folders.extend(found.filter(|path| path.is_dir()).filter_map(|path| fs::canonicalize(path).ok()));
            if !text.contains(['*', '?', '[']) && above.is_dir() {
                break;
            }
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_find_files_and_the_folders_to_watch() {
        let dir = tempfile::tempdir().unwrap();
        let at = fs::canonicalize(dir.path()).unwrap();
        for name in
            ["a/x.log", "a/x.log.1", "b/y.log", "b/.hidden.log", "b/deep/z.log", "b/y.txt", "a/skip.log"]
        {
            fs::create_dir_all(at.join(name).parent().unwrap()).unwrap();
            fs::write(at.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink(at.join("a/x.log"), at.join("b/link.log")).unwrap();
        let config = format!("paths = [\"{0}/*/*.log*\"]\nexclude = [\"skip*\"]", at.display());
        let config: super::super::config::FilesConfig =
            metlog_pipeline::config::parse(&config, "test.toml", |_| None).unwrap();
        let compiled = config.compile("i", &std::collections::BTreeMap::new()).unwrap();
        let names = |paths: Vec<PathBuf>| -> Vec<String> {
            paths.iter().map(|path| path.strip_prefix(&at).unwrap().display().to_string()).collect()
        };
        let found = find(&compiled).into_iter().map(|it| it.path).collect();
        assert_eq!(names(found), ["a/x.log", "a/x.log.1", "b/y.log"], "the link is the same file again");
        assert_eq!(names(folders(&config.paths).into_iter().collect()), ["", "a", "b"]);
    }
}
