//! The tools that somebody has: those that are known when a flow is loaded, and those that a server names when it is
//! asked.

use std::fmt;
use std::sync::Arc;

use super::Task;
use super::failure::Failure;
use super::node::Tool;
use super::run::Run;

/// What knows its tools only once it is asked.
pub(crate) trait ToolServer: fmt::Debug + Send + Sync {
    fn tools<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Arc<dyn Tool>>>;

    /// The names of those that it may have, as far as they are known before.
    fn names(&self) -> &[String] {
        &[]
    }
}

/// Where tools come from.
#[derive(Debug, Clone)]
pub(crate) enum ToolSource {
    Known(Arc<dyn Tool>),
    Server(Arc<dyn ToolServer>),
}

impl ToolSource {
    /// # Errors
    /// Why the server does not say.
    pub(crate) async fn tools(&self, run: &Run<'_>) -> Result<Vec<Arc<dyn Tool>>, Failure> {
        match self {
            Self::Known(tool) => Ok(vec![Arc::clone(tool)]),
            Self::Server(server) => server.tools(run).await,
        }
    }
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Toolset(Vec<ToolSource>);

impl Toolset {
    pub(crate) fn known(tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Self {
        Self(tools.into_iter().map(ToolSource::Known).collect())
    }

    pub(crate) fn server(server: impl ToolServer + 'static) -> Self {
        Self(vec![ToolSource::Server(Arc::new(server))])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of its tools, as far as they are known before a run.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.0.iter().map(|source| match source {
            ToolSource::Known(tool) => std::slice::from_ref(&tool.spec().name),
            ToolSource::Server(server) => server.names(),
        });
        names.flatten().cloned().collect()
    }

    /// For one run: whoever has tools asks for them first.
    ///
    /// # Errors
    /// Why a server does not say which it has.
    pub(crate) async fn tools(&self, run: &Run<'_>) -> Result<Vec<Arc<dyn Tool>>, Failure> {
        let mut tools = Vec::with_capacity(self.0.len());
        for source in &self.0 {
            tools.extend(source.tools(run).await?);
        }
        Ok(tools)
    }
}

impl IntoIterator for Toolset {
    type Item = ToolSource;
    type IntoIter = std::vec::IntoIter<ToolSource>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<ToolSource> for Toolset {
    fn from_iter<T: IntoIterator<Item = ToolSource>>(sources: T) -> Self {
        Self(sources.into_iter().collect())
    }
}

/// All together.
impl FromIterator<Toolset> for Toolset {
    fn from_iter<T: IntoIterator<Item = Self>>(sets: T) -> Self {
        Self(sets.into_iter().flatten().collect())
    }
}
