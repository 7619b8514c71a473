//! What the demo can quote: every page of the documentation, as it was when the program was built.

/// Where a page stands in the repository, and its text. The first says what the whole is.
pub(super) const PAGES: [(&str, &str); 24] = [
    ("README.md", include_str!("../../../README.md")),
    ("config/README.md", include_str!("../../../config/README.md")),
    ("config/KEYS.md", include_str!("../../../config/KEYS.md")),
    ("config/BROWSERS.md", include_str!("../../../config/BROWSERS.md")),
    ("config/BODIES.md", include_str!("../../../config/BODIES.md")),
    ("config/IDENTITY.md", include_str!("../../../config/IDENTITY.md")),
    ("config/LIMITS.md", include_str!("../../../config/LIMITS.md")),
    ("deploy/README.md", include_str!("../../../deploy/README.md")),
    ("deploy/API.md", include_str!("../../../deploy/API.md")),
    ("deploy/CONSOLE.md", include_str!("../../../deploy/CONSOLE.md")),
    ("deploy/METRICS.md", include_str!("../../../deploy/METRICS.md")),
    ("deploy/shield/README.md", include_str!("../../../deploy/shield/README.md")),
    ("deploy/examples/browser/README.md", include_str!("../../../deploy/examples/browser/README.md")),
    ("src/README.md", include_str!("../../../src/README.md")),
    ("src/engine/README.md", include_str!("../../../src/engine/README.md")),
    ("tests/README.md", include_str!("../../../tests/README.md")),
    ("tests/flowise/README.md", include_str!("../../../tests/flowise/README.md")),
    ("tests/perf/README.md", include_str!("../../../tests/perf/README.md")),
    ("deploy/helm/README.md", include_str!("../../../deploy/helm/README.md")),
    ("deploy/front/README.md", include_str!("../../../deploy/front/README.md")),
    ("deploy/ext-auth/README.md", include_str!("../../../deploy/ext-auth/README.md")),
    ("deploy/TROUBLESHOOTING.md", include_str!("../../../deploy/TROUBLESHOOTING.md")),
    ("deploy/systemd/README.md", include_str!("../../../deploy/systemd/README.md")),
    ("deploy/monitoring/README.md", include_str!("../../../deploy/monitoring/README.md")),
];
