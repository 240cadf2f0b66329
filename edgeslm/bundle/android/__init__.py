"""Package models as an Android library: an .aar, the Gradle project it comes from, and a demo app."""
