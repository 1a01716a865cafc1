public import Files

/// What one process of a run was: an entry of `run.json`. None of it determines a result.
public struct RunSession: Equatable, Sendable {
  /// Date and time of the start, ISO 8601 in UTC.
  public var started: String
  /// The words of the command line.
  public var command: [String]
  /// Names and versions: moe-dist, Open MPI, OpenBLAS, Swift.
  public var versions: [String: String]
  /// The commit that the program was built from, where one is known.
  public var gitCommit: String?
  /// How the program was compiled.
  public var buildFlags: String
  /// The host of every rank.
  public var hosts: [String]
  public var threads: Int
  /// The rank of every expert.
  public var placement: [Int]
  /// The processor level in use, by rank.
  public var levels: [String]
  /// The kernels that OpenBLAS chose, by rank, where it computes the dense products; else empty.
  public var blasKernels: [String]
  /// SHA-256 of the data by part.
  public var dataFingerprints: [String: String]
  /// What the classes are called, in the order of their numbers.
  public var classNames: [String]
  /// The coarse classes of a data set that has them, and the coarse class of every class; else empty.
  public var coarseClassNames: [String]
  public var coarseClasses: [Int]
  /// File name of the checkpoint that it continued from.
  public var resumedFrom: String?
  /// Environment variables that change how a run behaves, from ``environmentNames``.
  public var environment: [String: String]

  /// The variables that may be recorded; anything else in an environment is nobody's business.
  public static let environmentNames = [
    "MOE_DIST_DATA", "MOE_DIST_LEVEL", "OMPI_COMM_WORLD_LOCAL_SIZE", "OMPI_COMM_WORLD_SIZE", "OMPI_MCA_btl",
    "OMPI_MCA_pml",
    "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "SLURM_JOB_ID", "SLURM_NNODES", "SLURM_NTASKS",
  ]

  public init(
    started: String, command: [String], versions: [String: String], gitCommit: String? = nil,
    buildFlags: String,
    hosts: [String], threads: Int = 1, placement: [Int], levels: [String], blasKernels: [String],
    dataFingerprints: [String: String], classNames: [String] = [], coarseClassNames: [String] = [],
    coarseClasses: [Int] = [],
    resumedFrom: String? = nil, environment: [String: String]
  ) {
    self.started = started
    self.command = command
    self.versions = versions
    self.gitCommit = gitCommit
    self.buildFlags = buildFlags
    self.hosts = hosts
    self.threads = threads
    self.placement = placement
    self.levels = levels
    self.blasKernels = blasKernels
    self.dataFingerprints = dataFingerprints
    self.classNames = classNames
    self.coarseClassNames = coarseClassNames
    self.coarseClasses = coarseClasses
    self.resumedFrom = resumedFrom
    self.environment = environment.filter { Self.environmentNames.contains($0.key) }
  }

  public var json: JSONValue {
    func texts(_ values: [String]) -> JSONValue { .array(values.map { .string($0) }) }
    func pairs(_ values: [String: String]) -> JSONValue {
      .object(values.map { .init(key: $0.key, value: .string($0.value)) })
    }
    return [
      "started": .string(started),
      "command": texts(command),
      "versions": pairs(versions),
      "git_commit": JSONValue(gitCommit),
      "build_flags": .string(buildFlags),
      "hosts": texts(hosts),
      "ranks": .integer(hosts.count),
      "threads": .integer(threads),
      "placement": .array(placement.map { .integer($0) }),
      "processor_levels": texts(levels),
      "blas_kernels": texts(blasKernels),
      "data_fingerprints": pairs(dataFingerprints),
      "class_names": texts(classNames),
      "coarse_class_names": texts(coarseClassNames),
      "coarse_classes": .array(coarseClasses.map { .integer($0) }),
      "resumed_from": JSONValue(resumedFrom),
      "environment": pairs(environment),
    ]
  }
}
