//! Documents that services keep or make, by their HTTP interfaces.

mod airtable;
mod api;
mod apify;
mod asked;
mod confluence;
mod firecrawl;
mod gitbook;
mod github;
mod google;
mod ignored;
mod jira;
mod notion;
mod s3;
mod simple;
mod spider;
mod unstructured;

use crate::engine::compile::kind::NodeKind;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[
    &airtable::Airtable,
    &api::ApiLoader,
    &apify::Apify,
    &confluence::Confluence,
    &firecrawl::FireCrawl,
    &gitbook::Gitbook,
    &github::Github,
    &google::drive::GoogleDriveLoader,
    &google::sheets::GoogleSheetsLoader,
    &jira::Jira,
    &notion::DATABASE,
    &notion::PAGE,
    &s3::S3Directory,
    &s3::S3File,
    &simple::BraveSearch,
    &simple::Figma,
    &simple::Oxylabs,
    &simple::SearchApi,
    &simple::SerpApi,
    &spider::Spider,
    &unstructured::Unstructured,
];

#[cfg(test)]
mod tests;
