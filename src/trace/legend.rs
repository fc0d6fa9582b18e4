/// How to read a trace; for documentation and help texts.
pub const LEGEND: &str = "\
One line an event, in the order in which things happened.

  time    seconds of virtual time since the start of the run
  host    where it happened; - is the run as a whole
  event   send   a packet is sent, and its fate is decided
          fwd    the same, by an endpoint that only passes it on
          recv   a packet arrives (the story shows surprising arrivals only)
          state  a connection changes its state
          call   a socket call returns; one that only begins ends in `...` (full)
          timer  a timer fires or is started anew (full)
          queue  entries and limits of a listener's two queues (full)
          cwnd   the congestion window changes by more than an acknowledgment's growth (full)
          fault  the script disturbs the world
          check  a rule is broken; on the last line, the verdict
  conn    the connection (c1, c2, ... in the order of their first SYNs), the socket of a call, or a listener (:80)
  packet  >server #2 is the second packet on the link to server, <client #2 the second on the link from client;
          #2+1 is its first duplicate
  fate    of a packet sent: how long it takes; `dup` and how long a duplicate takes; LOST and by what; CORRUPT and
          which bit is flipped
          of an arrival: ok; OLD, received before; EARLY, ahead of what is expected; DROP and why
  detail  segments in packetdrill's notation: flags (F FIN, S SYN, R RST, P PSH, U URG, E ECE, W CWR, . ACK),
          first:last(length) of the data, acknowledgment, window as in the header, options (timestamps on SYNs only).
          Numbers count from the ISS of the connection that sent the segment; `= 1:5 in c2` are the receiver's
          numbers where it is in another connection. Segments of no connection show raw numbers and ports.

As a ladder, time runs down and each endpoint has a column. An arrow stands where its packet is sent; at its right, how
long it takes and what becomes of it. X: it is lost on the way. ~: it leaves in one row and arrives in another, because
something happens in between. States stand on a column's line when they are entered, calls beside it. The line is
missing while a host is down, dotted while it stands still, and colons while nothing happens for a second or more.
";
