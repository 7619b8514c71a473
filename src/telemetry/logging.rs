//! The log of the program itself: one line per event on stdout, JSON or text.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, filter::Targets, reload};

use crate::config::{Log, LogFormat, LogLevel};

type Formatter = Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync>;
type Formatted = Layered<reload::Layer<Formatter, Registry>, Registry>;

/// Lets a reload change level and format. Two handles, because a layer with a filter of its own cannot be replaced:
/// the new one would not be registered, and the first event would panic.
#[derive(Clone)]
pub(crate) struct LogReload {
    formatter: reload::Handle<Formatter, Registry>,
    filter: reload::Handle<Targets, Formatted>,
}

impl LogReload {
    /// Installs the global subscriber.
    ///
    /// # Errors
    /// A subscriber is installed already.
    pub(crate) fn install(log: Log) -> Result<Self, tracing_subscriber::util::TryInitError> {
        let (formatter_layer, formatter) = reload::Layer::new(formatter_of(log));
        let (filter_layer, filter) = reload::Layer::new(filter_of(log));
        tracing_subscriber::registry().with(formatter_layer).with(filter_layer).try_init()?;
        Ok(Self { formatter, filter })
    }

    pub(crate) fn apply(&self, log: Log) {
        // Fails only when the subscriber is gone, at exit.
        let _ = self.formatter.reload(formatter_of(log));
        let _ = self.filter.reload(filter_of(log));
    }
}

fn filter_of(log: Log) -> Targets {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    // Libraries speak from `warn` on: rustls and hyper log every broken client at `debug`.
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("flowgate", level)
}

fn formatter_of(log: Log) -> Formatter {
    match log.format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_target(false).boxed(),
        LogFormat::Text => fmt::layer().with_target(false).with_ansi(false).boxed(),
    }
}
