"""Each integration against the real framework under a real server, with real daemons at the receiving end."""
