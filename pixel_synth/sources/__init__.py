"""Where records come from that we did not generate: one file per set, local files, the Hub, licences."""
