"""What makes the things that are generated recognisable: keys of the installation, watermarks, signatures, the ledger."""
