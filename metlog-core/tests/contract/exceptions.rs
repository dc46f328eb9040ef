//! `exceptions.json`: how the variables of a frame are shown.

use metlog_core::{
    Fields, Value,
    exception::{Event, Exception, Frame, bound},
};

use crate::{cases, text_of};

#[test]
fn every_variable_is_shown_as_the_file_says() {
    for case in cases("exceptions.json") {
        let name = text_of(&case, "name");
        let value: Value = serde_json::from_value(case["value"].clone()).unwrap();
        let locals: Fields = [(text_of(&case, "variable"), value)].into_iter().collect();
        let frames = vec![Frame { file: "/app.py".to_owned(), locals, ..Frame::default() }];
        let mut event = Event::new("python", vec![Exception { frames, ..Exception::default() }]);
        bound::tidy(&mut event, bound::MAX_BYTES);
        let shown = event.chain[0].frames[0].locals.get(text_of(&case, "variable"));
        assert_eq!(serde_json::to_value(shown).unwrap(), case["shown"], "{name}");
    }
}
