# The package version; lib/Artefact/Version.h holds the versions of the formats and is configured from here.
set(LARIAT_VERSION 0.1.0)
