//! What a bucket of S3 lists.

use super::xml::{XmlDocument, XmlElement};

/// Names of the objects in a list, in its order; folders, which hold nothing themselves, are among them.
///
/// # Errors
/// It is no such list.
pub(crate) fn keys(text: &str) -> Result<Vec<String>, String> {
    let list = XmlDocument::parse(text)?;
    let list = list.root()?;
    if list.local() != "ListBucketResult" {
        return Err("the bucket answered with what is no list".to_owned());
    }
    let mut objects = Vec::new();
    list.each("Contents", &mut objects);
    let key = |object: &XmlElement<'_>| object.first("ETag").and(object.first("Key")).map(|key| key.text());
    Ok(objects.iter().filter_map(key).filter(|key| !key.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_listed() {
        let text = "<?xml version='1.0'?><ListBucketResult xmlns='x'><Name>b</Name><Contents><Key>a &amp; b.txt</Key>\
                    <ETag>&quot;1&quot;</ETag></Contents><Contents><Key>no-tag</Key></Contents></ListBucketResult>";
        assert_eq!(keys(text).unwrap(), ["a & b.txt"]);
        assert!(keys("<Error/>").is_err() && keys("").is_err());
    }
}
