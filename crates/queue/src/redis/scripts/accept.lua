-- Ready -> Leased, for an entry that a blocking read delivered. ARGV: class, entry, id. Answers the lease or false.
return accept(ARGV[1], ARGV[2], ARGV[3]) or false
