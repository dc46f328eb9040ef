//! How a client is set up: anew, as one change, or only in what looks at its messages first.

use std::sync::Arc;

use metlog_core::{ClientBuilder, config::EXIT_TIMEOUT, config::Settings};
use pyo3::{prelude::*, types::PyWeakrefReference};

use crate::{
    client::Client, columns, filters::Filter, handles, names::Names, state::State, sums::Sums,
    targets::Target, text,
};

/// What looks at a message: filters of the core, or None where Python does, and gets it as a dict.
pub(crate) type Filters<'py> = Option<Vec<Bound<'py, Filter>>>;

/// What every message says of itself unless the call does.
pub(crate) struct Said<'a, 'py> {
    pub(crate) logger: &'a Bound<'py, PyAny>,
    pub(crate) severity: &'a Bound<'py, PyAny>,
    pub(crate) disabled_timers: Bound<'py, PyAny>,
}

/// Gives the client a core of its own that sends to `target`; the one before gets time to send what it has.
pub(crate) fn connect(
    slf: &Bound<'_, Client>,
    said: Said<'_, '_>,
    target: Option<&Target>,
    filters: &Filters<'_>,
    settings: Settings,
) -> PyResult<()> {
    let level = columns::severity(said.severity);
    let logger_text = text::of_name(said.logger).into_owned();
    let builder = builder(settings, filters).logger(logger_text.clone()).severity(level.unwrap_or_default());
    let builder = match target {
        Some(target) => builder.sender(target.shared()),
        None => builder,
    };
    let state = State {
        core: builder.build(),
        by_dict: filters.is_none(),
        logger: said.logger.clone().unbind(),
        logger_text,
        severity: said.severity.clone().unbind(),
        level,
        settings,
        sums: None,
        sum_level: level,
        disabled_timers: said.disabled_timers.unbind(),
        may_sum: false,
        is_closed: false,
        names: Names::default(),
    };
    let state = State { sums: sums(slf, &state)?, ..state };
    let client = slf.get();
    let before = Arc::clone(&client.state());
    let ticket = client.books.retire(before.core.clone());
    client.replace(state);
    handles::bind_anew();
    slf.py().detach(|| before.close(EXIT_TIMEOUT));
    client.books.settle(ticket);
    Ok(())
}

/// Changes what looks at messages, and nothing of those that were sent before.
pub(crate) fn reroute(slf: &Bound<'_, Client>, filters: &Filters<'_>) -> PyResult<()> {
    let client = slf.get();
    let before = Arc::clone(&client.state());
    let state = State { by_dict: filters.is_none(), ..before.copy(slf.py()) };
    let state =
        if before.by_dict == state.by_dict { state } else { State { sums: sums(slf, &state)?, ..state } };
    let builder = builder(state.summing_settings(), filters).logger(before.core.logger());
    let core = builder.severity(before.sum_level.unwrap_or_default()).beside(&before.core).build();
    let is_other_sum = before.by_dict != state.by_dict;
    client.replace(State { core, ..state });
    if is_other_sum {
        handles::bind_anew();
        slf.py().detach(|| before.close_sums(EXIT_TIMEOUT));
    }
    Ok(())
}

/// Later calls are refused, those that sum too: nothing is summed any more.
pub(crate) fn refuse_calls(py: Python<'_>, client: &Client) {
    let before = Arc::clone(&client.state());
    let state = State { is_closed: true, ..before.copy(py) };
    let builder = builder(state.summing_settings(), &None).logger(before.core.logger());
    let core = builder.severity(before.sum_level.unwrap_or_default()).beside(&before.core).build();
    client.replace(State { core, ..state });
    handles::bind_anew();
}

fn builder(settings: Settings, filters: &Filters<'_>) -> ClientBuilder {
    let builder = metlog_core::Client::builder().settings(settings);
    let filters = filters.iter().flatten();
    filters.fold(builder, |builder, filter| builder.filter(filter.get().shared()))
}

/// Those of a client that makes dicts.
fn sums(slf: &Bound<'_, Client>, state: &State) -> PyResult<Option<Arc<Sums>>> {
    if !state.by_dict {
        return Ok(None);
    }
    let weak = PyWeakrefReference::new(slf)?.into_any().unbind();
    let level = state.sum_level.unwrap_or_default();
    Ok(Some(Sums::new(weak, state.core.logger(), level, state.settings)))
}
