"""HTTP: ``transport`` (connections, owns urllib3), and ``index``, pages of package indexes."""
