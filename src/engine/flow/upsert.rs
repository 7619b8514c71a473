//! What `vector/upsert` asks of a flow.

use super::{CompiledFlow, FlowPlan};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::PutDocuments;
use crate::engine::contract::run::Run;

impl CompiledFlow {
    /// Puts into a vector store what is connected to it: the one of that node, or the only one.
    pub(crate) async fn upsert(
        &self,
        overridden: Option<&FlowPlan>,
        node: Option<&str>,
        run: &Run<'_>,
    ) -> Result<PutDocuments, Failure> {
        run.budget().hold(run.request.bytes())?;
        let FlowPlan::Chain { stores, .. } = overridden.unwrap_or(&self.plan) else {
            return Err(Failure::flow("No vector node found"));
        };
        let chosen = match (stores.as_slice(), node) {
            (stores, Some(node)) => stores.iter().find(|(id, _)| id == node),
            ([only], None) => Some(only),
            ([], None) => None,
            (_, None) => {
                let words = "There are multiple vector nodes, please provide stopNodeId in body request";
                return Err(Failure::flow(words));
            }
        };
        let (_, store) = chosen.ok_or_else(|| Failure::flow("No vector node found"))?;
        let put = store.upsert(run).await?;
        run.budget().hold(put.documents.iter().map(|document| document.text.len()).sum())?;
        Ok(put)
    }
}
