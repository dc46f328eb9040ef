//! The places of calls in the sources that the application's files were made from, by their source maps
//! (<https://tc39.es/ecma426/>): TypeScript, bundles, minified code.
//!
//! A file names its map in its last lines, `//# sourceMappingURL=app.js.map`, or holds it there as base64. A stack that
//! Node has mapped itself (`--enable-source-maps`) names files that have no map, and stays as it is. Packages are left
//! alone. Maps are read on the thread that reads sources, and not kept: only the places found are, for a minute.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    path::{Component, Path, PathBuf},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use metlog_core::exception::{Event, Frame};
use serde::Deserialize;

use crate::{
    exception::is_to_stay_closed,
    mappings::{self, Place},
    stack,
};

/// A larger file is not worth the time, on a thread that waits for nobody.
pub(crate) const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// The same for the event loop: a map of 1 MiB takes it some 20 ms.
pub(crate) const MAX_BLOCKING_BYTES: u64 = 1024 * 1024;

/// Files looked at for one event.
const MAX_FILES: usize = 16;

/// Places looked up for one file of one event, of the innermost calls; the core shows fewer.
const MAX_PLACES: usize = 200;

/// Places kept; events come in bursts about the same few.
const MAX_KNOWN: usize = 1_000;

/// How long a place is taken to be what it was.
const FRESH: Duration = Duration::from_secs(60);

/// Lines before and after, as the core reads them.
const CONTEXT_LINES: usize = 5;

/// What stands before the name of a map.
const MARK: &str = "\n//# sourceMappingURL=";

/// What stands before a map in the file itself.
const INLINE: &str = "data:application/json";

thread_local! {
    /// What this thread has found lately, by file and place.
    static KNOWN: RefCell<HashMap<(String, Place), Known>> = RefCell::default();
}

struct Known {
    at: Instant,
    original: Option<Original>,
}

/// A place in a source.
#[derive(Clone)]
struct Original {
    file: String,
    place: Place,
    /// The lines around it where the map holds the source: those before, the line, those after.
    lines: Option<(Vec<String>, String, Vec<String>)>,
}

/// A source map.
#[derive(Deserialize)]
struct SourceMap {
    #[serde(rename = "sourceRoot")]
    source_root: Option<String>,
    sources: Vec<Option<String>>,
    #[serde(rename = "sourcesContent", default)]
    contents: Vec<Option<String>>,
    mappings: String,
}

/// Puts the frames of the application where its sources are; files of more than `most` bytes are left alone.
pub(crate) fn apply(event: &mut Event, most: u64) {
    let root = std::env::current_dir().unwrap_or_default().display().to_string();
    let mut files: Vec<String> = Vec::new();
    for frame in event.chain.iter().flat_map(|exception| &exception.frames) {
        if is_mapped(frame) && !files.contains(&frame.file) && files.len() < MAX_FILES {
            files.push(frame.file.clone());
        }
    }
    for file in files {
        let frames = event.chain.iter_mut().flat_map(|exception| exception.frames.iter_mut().rev());
        let mut frames: Vec<(Place, &mut Frame)> = frames
            .filter(|frame| frame.file == file && is_mapped(frame))
            .filter_map(|frame| Some((place_of(frame)?, frame)))
            .collect();
        let mut places: Vec<Place> = Vec::new();
        for (place, _) in &frames {
            if places.len() < MAX_PLACES && !places.contains(place) {
                places.push(*place);
            }
        }
        let found: HashMap<Place, Original> = originals(&file, &places, most);
        for (place, frame) in &mut frames {
            if let Some(original) = found.get(place) {
                put(frame, original.clone(), &root);
            }
        }
    }
}

/// True for a frame of the application whose file may have a map.
fn is_mapped(frame: &Frame) -> bool {
    frame.in_app == Some(true)
        && frame.context_line.is_none()
        && stack::is_source(&frame.file)
        && place_of(frame).is_some()
}

/// From 0, as maps count.
fn place_of(frame: &Frame) -> Option<Place> {
    Some(Place { line: frame.line?.checked_sub(1)?, column: frame.column?.checked_sub(1)? })
}

fn put(frame: &mut Frame, original: Original, root: &str) {
    frame.line = Some(original.place.line.saturating_add(1));
    frame.column = Some(original.place.column.saturating_add(1));
    frame.in_app = Some(!original.file.contains(stack::PACKAGES));
    frame.module = stack::module(&original.file, root);
    frame.file = original.file;
    if let Some((before, line, after)) = original.lines {
        (frame.pre_context, frame.context_line, frame.post_context) = (before, Some(line), after);
    } else if is_to_stay_closed(&frame.file) {
        frame.context_line = Some(String::new());
    }
}

/// What the places stand for; those that are not known come from one reading of the map.
fn originals(file: &str, places: &[Place], most: u64) -> HashMap<Place, Original> {
    KNOWN.with_borrow_mut(|known| {
        let now = Instant::now();
        let key = |place: Place| (file.to_owned(), place);
        let is_known = |known: &HashMap<_, Known>, place| {
            known.get(&key(place)).is_some_and(|found: &Known| now.duration_since(found.at) < FRESH)
        };
        let missing: Vec<Place> = places.iter().copied().filter(|place| !is_known(known, *place)).collect();
        if known.len() + missing.len() > MAX_KNOWN {
            known.clear();
        }
        if !missing.is_empty() {
            for (place, original) in missing.iter().zip(look_up(file, &missing, most)) {
                known.insert(key(*place), Known { at: now, original });
            }
        }
        let original = |place| Some((place, known.get(&key(place))?.original.clone()?));
        places.iter().copied().filter_map(original).collect()
    })
}

fn look_up(file: &str, places: &[Place], most: u64) -> Vec<Option<Original>> {
    let looked_up = || {
        let (map, folder) = map_of(Path::new(file), most)?;
        let found = mappings::find(&map.mappings, places)?;
        Some(found.into_iter().map(|found| original(&map, &folder, found?)).collect())
    };
    looked_up().unwrap_or_else(|| vec![None; places.len()])
}

/// The map of a file, and the folder that its sources are relative to.
fn map_of(file: &Path, most: u64) -> Option<(SourceMap, PathBuf)> {
    let text = read(file, most)?;
    let (_, named) = text.rsplit_once(MARK)?;
    let named = named.split_whitespace().next()?;
    let folder = file.parent()?;
    if let Some(inline) = named.strip_prefix(INLINE) {
        let (_, encoded) = inline.split_once(";base64,")?;
        return Some((serde_json::from_slice(&STANDARD.decode(encoded).ok()?).ok()?, folder.to_owned()));
    }
    // A text that only looks like a stack shall not make us read anything else.
    let path = resolved(folder, named).filter(|path| path.ends_with(".map"))?;
    let map = serde_json::from_str(&read(Path::new(&path), most)?).ok()?;
    Some((map, Path::new(&path).parent()?.to_owned()))
}

fn read(path: &Path, most: u64) -> Option<String> {
    // Looked at before it is opened: opening a named pipe waits.
    fs::metadata(path).ok().filter(|found| found.is_file() && found.len() <= most)?;
    fs::read_to_string(path).ok()
}

fn original(map: &SourceMap, folder: &Path, found: mappings::Found) -> Option<Original> {
    let name = map.sources.get(found.source)?.as_deref()?;
    let root = map.source_root.as_deref().unwrap_or("");
    let joined = if root.is_empty() || name.starts_with('/') {
        name.to_owned()
    } else {
        format!("{}/{name}", root.trim_end_matches('/'))
    };
    let lines = map.contents.get(found.source).and_then(Option::as_deref);
    Some(Original {
        file: resolved(folder, &joined).unwrap_or(joined),
        place: found.place,
        lines: lines.and_then(|text| around(text, found.place)),
    })
}

fn around(text: &str, place: Place) -> Option<(Vec<String>, String, Vec<String>)> {
    let index = usize::try_from(place.line).ok()?;
    let first = index.saturating_sub(CONTEXT_LINES);
    let mut lines = text.lines().skip(first).map(ToOwned::to_owned);
    let before: Vec<String> = lines.by_ref().take(index - first).collect();
    let line = lines.next()?;
    Some((before, line, lines.take(CONTEXT_LINES).collect()))
}

/// The path that a name of a map means; none for an address that is no file's.
fn resolved(folder: &Path, name: &str) -> Option<String> {
    if name.starts_with("file://") {
        return Some(stack::path(name));
    }
    if name.contains("://") {
        return None;
    }
    let mut path = PathBuf::new();
    for part in folder.join(name).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    Some(path.display().to_string())
}
