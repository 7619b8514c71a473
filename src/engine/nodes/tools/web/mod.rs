//! Tools that read pages of the web.

mod browser;
mod scraper;

use self::browser::WebBrowser;
use self::scraper::WebScraper;
use crate::engine::compile::kind::NodeKind;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[&WebBrowser, &WebScraper];
