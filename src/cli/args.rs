use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A deterministic network-simulation test harness for TCP: every packet's fate, decided by a seed.
#[derive(Debug, Parser)]
#[command(name = "wirefate", version, max_term_width = 110)]
#[command(after_help = "Exit codes: 0 held, 1 an expectation or oracle failed, 2 bad input, 3 the tool's own failure.")]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Play sims and print their traces
    Run(RunArgs),
    /// Play sims with all their variants and hold them against their snapshots
    Test(TestArgs),
    /// Play a sim until some instant and show what netstat, ss and nstat would print on its hosts
    Netstat(NetstatArgs),
    /// Play recordings of a real kernel on our own hosts and compare
    Golden(GoldenArgs),
    /// Run packetdrill scripts against a host, in virtual time
    Drill(DrillArgs),
    /// Show the table of a profile: its sysctls, what it does beyond them, and where that is written
    Profile(ProfileArgs),
    /// Show what a profile does with every kind of segment in every state of TCP
    Matrix(MatrixArgs),
    /// Draw the states of TCP and the ways between them
    States(StatesArgs),
    /// List the sims that come with wirefate
    List(ListArgs),
    /// Show one sim: its story, parameters, variants and file
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wirefate run three-way-handshake                     a sim that comes with wirefate
  wirefate run sims/syn-lost.toml --seed 7             a file
  wirefate run syn-flood --variant all --format none   every variant, verdicts only
  wirefate run syn-lost --set ip=6 --format ladder     over IPv6, as a ladder diagram
  wirefate run nat-forgets --pcap out.pcapng           for Wireshark
  wirefate run syn-flood --watch server 1s             and a line of vmstat's kind a second, after the trace
  wirefate run syn-flood --watch server 100ms --watch-format csv --format none > syn.csv

How to read a trace: `wirefate run --legend`.")]
pub(super) struct RunArgs {
    /// Names from `wirefate list`, or scenario files
    #[arg(value_name = "NAME|FILE", required_unless_present = "legend")]
    pub(super) sims: Vec<String>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Play this variant, or `all` of them after the plain story
    #[arg(long, value_name = "V|all")]
    pub(super) variant: Option<String>,
    /// Give a declared parameter another value
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) set: Vec<(String, String)>,
    /// Give a host's sysctl another value
    #[arg(long, value_name = "HOST:NAME=VALUE", value_parser = host_pair)]
    pub(super) sysctl: Vec<(String, String, String)>,
    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Story)]
    pub(super) format: Format,
    /// After the trace, a table of HOST: every INTERVAL of virtual time its connections by state, its listeners'
    /// queues, and what its counters have gained; may be given again for another host
    #[arg(long, num_args = 2, value_names = ["HOST", "INTERVAL"], action = clap::ArgAction::Append)]
    pub(super) watch: Vec<String>,
    /// How to print it; with `--format none` nothing else is printed, and a broken run tells on standard error
    #[arg(long, value_enum, default_value_t = TableFormat::Text, requires = "watch")]
    pub(super) watch_format: TableFormat,
    /// Print raw sequence numbers
    #[arg(long)]
    pub(super) absolute: bool,
    /// Write every packet, once, as it was sent, with its fate as comment (pcapng)
    #[arg(long, value_name = "FILE", conflicts_with = "pcap_at")]
    pub(super) pcap: Option<PathBuf>,
    /// Write to HOST.pcapng what tcpdump would see at this host
    #[arg(long, value_name = "HOST")]
    pub(super) pcap_at: Option<String>,
    /// Show what the engine does, with virtual time (-vv for every event)
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Explain the columns of a trace
    #[arg(long)]
    pub(super) legend: bool,
}

impl RunArgs {
    /// Whether more than one run may come of it.
    pub(super) fn is_several(&self) -> bool {
        self.sims.len() > 1 || self.variant.as_deref() == Some("all")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Sends with fates, transitions, calls, surprising arrivals
    Story,
    /// Every arrival, timer and queue as well
    Full,
    /// A ladder diagram
    Ladder,
    /// One JSON object an event
    Json,
    /// The verdict alone
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TableFormat {
    /// For people
    Text,
    /// For programs: times in integer nanoseconds
    Csv,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wirefate netstat syn-flood --at 10s --host server    in the middle of it
  wirefate netstat nat-forgets --at end                every host, when nothing more happens
  wirefate netstat four-way-close --at 1s --format csv one fact a line: host,time_ns,table,name,field,value

What is shown, a host:
  TIME_WAIT 3                  netstat -an | awk '{++S[$NF]} END {for(a in S) print a, S[a]}', in the
                               order of a connection's life
  LISTEN      2       128      ss -lnt: Recv-Q connections wait for accept(), Send-Q is the backlog;
                               the rows in SYN-RECV are the listener's other queue
  ESTAB       0       1460     ss -tan: Recv-Q bytes not read, Send-Q bytes not acknowledged, where a
                               SYN and a FIN count 1
  TcpExtListenOverflows   3    nstat -a: counters that are not 0, under the kernel's names
  Residence                    how long connections have been in each state, in virtual time: those
                               that are in it now, with the oldest, and the stays that have ended")]
pub(super) struct NetstatArgs {
    /// A name from `wirefate list`, or a scenario file
    #[arg(value_name = "NAME|FILE")]
    pub(super) sim: String,
    /// When to look: an instant of virtual time (`250ms`, `90s`), after everything that happens at it; or `end`
    #[arg(long, value_name = "T|end")]
    pub(super) at: String,
    /// Look at this host only
    #[arg(long, value_name = "HOST")]
    pub(super) host: Option<String>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Play this variant
    #[arg(long, value_name = "V")]
    pub(super) variant: Option<String>,
    /// Give a declared parameter another value
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) set: Vec<(String, String)>,
    /// Give a host's sysctl another value
    #[arg(long, value_name = "HOST:NAME=VALUE", value_parser = host_pair)]
    pub(super) sysctl: Vec<(String, String, String)>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = TableFormat::Text)]
    pub(super) format: TableFormat,
}

#[derive(Debug, clap::Args)]
pub(super) struct TestArgs {
    /// Scenario files or folders of them [default: sims]
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Folder of the snapshots [default: `snapshots` beside the folder of the sims]
    #[arg(long, value_name = "DIR")]
    pub(super) snapshots: Option<PathBuf>,
    /// Write the snapshots anew
    #[arg(long)]
    pub(super) update: bool,
    /// Write a report for CI systems to target/wirefate/junit.xml
    #[arg(long, value_enum)]
    pub(super) report: Option<ReportFormat>,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = crate::cli::test::SEED)]
    pub(super) seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// JUnit's XML
    Junit,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wirefate golden tests/golden                         every recording
  wirefate golden tests/golden --filter keepalive      those with this in their names
  wirefate golden tests/golden/cases/NAME.json -v      one, both sides of it line by line
  wirefate golden tests/golden --find-uptime           where the machine's timer wheel stood: the best of 2,048 places

A folder's clock.json says when each recording began and how long its machine had been up: those are played once, on that
machine. Others are played on exact timers, and if need be on a timer wheel in the first phase that fits, which is named.

The last line counts; exit code 0 where every recording matched, 1 where one did not.")]
pub(super) struct GoldenArgs {
    /// Recordings, or folders of them
    #[arg(value_name = "DIR|FILE", required = true)]
    pub(super) paths: Vec<PathBuf>,
    /// Whose behaviour the hosts have
    #[arg(long, value_name = "P", default_value = "linux")]
    pub(super) profile: String,
    /// Only recordings whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(super) filter: Option<String>,
    /// Try the uptimes at which a timer wheel differs, in steps of 1 ms, and print with which fewest recordings differ
    #[arg(long, conflicts_with = "verbose")]
    pub(super) find_uptime: bool,
    /// Show every difference, and both sides of each case line by line
    #[arg(short, long)]
    pub(super) verbose: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wirefate drill sims/drill                            every script there, in every way
  wirefate drill suite/tcp --report json               for programs: script, variant, verdict, line, reason
  wirefate drill one.pkt --ip-version 6 --trace        one, over IPv6, with its story
  wirefate drill one.pkt --pcap out/                   for Wireshark

A script runs over IPv4, over IPv4 through sockets of IPv6 (ipv4-mapped-v6) and over IPv6, as the suites' own runner has
it; one that names addresses of its own also runs as it is (plain). Its own options win. docs/drill.md tells the rest.")]
pub(super) struct DrillArgs {
    /// Scripts, or folders of them
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,
    /// Whose behaviour the host has, where a script does not name a profile itself
    #[arg(long, value_name = "P", default_value = "linux")]
    pub(super) profile: String,
    /// What a word of the scripts stands for
    #[arg(short = 'D', long = "define", value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) define: Vec<(String, String)>,
    /// How many run at a time [default: one a processor]
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<usize>,
    /// In which way they run
    #[arg(long, value_enum, default_value_t = IpVersion::All)]
    pub(super) ip_version: IpVersion,
    /// Print a report for programs in place of the lines
    #[arg(long, value_enum)]
    pub(super) report: Option<DrillReport>,
    /// Write every packet of each run to a file of this folder (pcapng)
    #[arg(long, value_name = "DIR")]
    pub(super) pcap: Option<PathBuf>,
    /// Show the story of each run, and what its snippets print
    #[arg(long)]
    pub(super) trace: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum IpVersion {
    /// Over IPv4
    #[value(name = "4")]
    V4,
    /// Over IPv6
    #[value(name = "6")]
    V6,
    /// Over IPv4, through sockets of IPv6
    Mapped,
    /// As the script itself says
    Plain,
    /// In each of these ways
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DrillReport {
    /// An array of objects: script, variant, verdict, line, reason
    Json,
    /// JUnit's XML
    Junit,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wirefate profile linux                  every sysctl and behaviour, with its source
  wirefate profile linux --diff rfc9293   only what is not the same

A value with a question mark is from memory and verified by nobody; `-` stands for what a profile has not.")]
pub(super) struct ProfileArgs {
    /// Which profile
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Show only where this other profile differs
    #[arg(long, value_name = "OTHER")]
    pub(super) diff: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wirefate matrix                            the profile linux, all eleven states
  wirefate matrix --state time-wait          one of them
  wirefate matrix --diff rfc9293 linux       where two profiles differ, and who says so

How to read it: a host is brought into the state by socket calls and a peer that keeps to the rules; then one segment
comes. Each row is a set of such experiments that came to the same.
  ESTABLISHED: snd.una 100, snd.nxt 100, rcv.nxt 100, window to 65536, application: out, recv = EAGAIN
      the numbers to point at, from the initial ones, and what the application sees before the segment comes
  segment      SYN-FIN is both bits in one segment; FIN lacks the ACK bit, FIN-ACK has it; data and URG carry 5 bytes
  SEG.SEQ      `outside left` ends at rcv.nxt, `left edge` is rcv.nxt, `inside` is 10 past it, `right edge` is the last
               octet of the window, `outside right` the first beyond it
  SEG.ACK      `old` is snd.una - 1, `acceptable` is snd.nxt, `beyond` is snd.nxt + 1
  reply        what came back within half a second; `R seg.ack` is a reset numbered by what it answers
  state        where the connection went
  application  what poll says, and the next call; `-` where nothing changed for it
  (...)        what the host calls such a segment")]
pub(super) struct MatrixArgs {
    /// Whose behaviour
    #[arg(long, value_name = "P", default_value = "linux")]
    pub(super) profile: String,
    /// Show only where these two profiles differ
    #[arg(long, value_names = ["P", "Q"], num_args = 2, conflicts_with = "profile")]
    pub(super) diff: Vec<String>,
    /// Only this state, by its name in RFC 9293
    #[arg(long, value_name = "S")]
    pub(super) state: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wirefate states                                          a line a way from one state to another
  wirefate states --dot | dot -Tsvg > states.svg           the diagram; `dot` comes with graphviz
  wirefate states --dot --run last-ack-lost | dot -Tpng > run.png
                                                           the ways that a run took are bold and blue

Every way was seen: the host was brought into a state, and a segment, a call or a timeout led out of it. A label is the
event and what is sent for it, as in RFC 9293 3.3.2: `rcv FIN-ACK / .`.")]
pub(super) struct StatesArgs {
    /// Whose behaviour
    #[arg(long, value_name = "P", default_value = "linux")]
    pub(super) profile: String,
    /// Print the language of graphviz
    #[arg(long)]
    pub(super) dot: bool,
    /// Mark the ways that a run of this sim takes, on all its hosts
    #[arg(long, value_name = "NAME|FILE")]
    pub(super) run: Option<String>,
    /// Seed of that run
    #[arg(long, value_name = "N", default_value_t = 1, requires = "run")]
    pub(super) seed: u64,
    /// Play this variant of the sim
    #[arg(long, value_name = "V", requires = "run")]
    pub(super) variant: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only sims whose name, title or topic contains this
    pub(super) query: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// A name from `wirefate list`, or a scenario file
    #[arg(value_name = "NAME|FILE")]
    pub(super) sim: String,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, like `ip=6`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn host_pair(text: &str) -> Result<(String, String, String), String> {
    let expected = "expected HOST:NAME=VALUE, like `server:net.ipv4.tcp_fin_timeout=30`";
    let (host, rest) = text.split_once(':').ok_or(expected)?;
    let (name, value) = rest.split_once('=').ok_or(expected)?;
    Ok((host.trim().to_owned(), name.trim().to_owned(), value.trim().to_owned()))
}
