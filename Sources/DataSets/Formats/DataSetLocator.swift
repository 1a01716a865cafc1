public import Files

/// The four files of a data set.
public enum DataPart: String, CaseIterable, Sendable {
  case trainImages = "train-images"
  case trainLabels = "train-labels"
  case testImages = "test-images"
  case testLabels = "test-labels"

  /// Names under which the file is published, without `.gz`; the first is the canonical one.
  public var fileNames: [String] {
    let stem =
      switch self {
      case .trainImages: ("train-images", "idx3-ubyte")
      case .trainLabels: ("train-labels", "idx1-ubyte")
      case .testImages: ("t10k-images", "idx3-ubyte")
      case .testLabels: ("t10k-labels", "idx1-ubyte")
      }
    return ["\(stem.0)-\(stem.1)", "\(stem.0).\(stem.1)"]
  }
}

/// A file of a data set.
struct DataFile {
  /// Names under which it is published, without `.gz`; the first is the canonical one.
  let names: [String]
  /// Whether the data set can be read without it.
  var isOptional = false
}

/// Where a data set's files were looked for, and whether they were found. Nothing is opened.
public struct DataSetSearch: Sendable {
  /// A directory, and what it lacks.
  public struct Place: Sendable {
    public let directory: String
    /// The canonical names of the files that are not there; all of them when the directory does not exist.
    public let missing: [String]
    /// Whether none of the files is there.
    let isBare: Bool
  }

  /// Every place of the search order, also those after the one that was taken.
  public let places: [Place]
  /// The first directory that has all files; several with commas between them where a data set needs several.
  public let directory: String?
  /// Whether it is `--data-dir` or below it.
  let isInDataDirectory: Bool
  /// The files in it, by canonical name.
  let paths: [String: String]
  /// The directories below the one that the user chose that were looked at, and the names that were looked for.
  private let chosen: [String]
  private let sought: [String]

  /// The four IDX files in it.
  public var files: [DataPart: String] {
    var files: [DataPart: String] = [:]
    for part in DataPart.allCases { files[part] = paths[part.fileNames[0]] }
    return files
  }

  /// The paths of a data set's four IDX files: plain or with `.gz`, plain first, also in a folder of the file's name, as
  /// Kaggle's archive has them. A directory may have them in one of ``idxFolders``.
  ///
  /// Directories, in this order: `--data-dir`, `--data-dir/<name>`, `$MOE_DIST_DATA/<name>`,
  /// `/usr/share/datasets/<name>`, `$XDG_CACHE_HOME/moe-dist/<name>` (without it `$HOME/.cache/moe-dist/<name>`).
  public init(name: String, options: DataOptions) {
    self.init(
      name: name, options: options, files: DataPart.allCases.map { DataFile(names: $0.fileNames) },
      folders: Self.idxFolders(name))
  }

  /// The paths of any files, in the same directories.
  ///
  /// - Parameter folders: below a directory, which may have the files there: what the published archive unpacks to.
  init(name: String, options: DataOptions, files: [DataFile], folders: [String]) {
    var places: [Place] = []
    var taken: (directory: String, paths: [String: String], place: Int)?
    for (place, directory) in Self.directories(name: name, options: options).enumerated() {
      let candidates = [directory] + Self.below(directory, folders)
      let looks = candidates.map { (directory: $0, paths: Self.paths(of: files, in: $0)) }
      let required = files.filter { !$0.isOptional }.map { $0.names[0] }
      func missing(_ paths: [String: String]) -> [String] { required.filter { paths[$0] == nil } }
      if let whole = looks.first(where: { missing($0.paths).isEmpty }) {
        places.append(Place(directory: whole.directory, missing: [], isBare: false))
        if taken == nil { taken = (whole.directory, whole.paths, place) }
      } else {
        let most = looks.min { missing($0.paths).count < missing($1.paths).count } ?? looks[0]
        let lacks = missing(most.paths)
        let isBare = lacks.count == required.count
        places.append(
          Place(directory: isBare ? directory : most.directory, missing: lacks, isBare: isBare))
      }
    }
    self.places = places
    directory = taken?.directory
    paths = taken?.paths ?? [:]
    let own = Self.dataDirectories(name: name, options: options)
    isInDataDirectory = taken.map { $0.place < own.count } ?? false
    chosen = own.flatMap { [$0] + Self.below($0, folders) }
    sought = files.flatMap(\.names)
  }

  /// Where torchvision keeps a data set below its root, and where the repository of FashionMNIST has it. Of which data set a
  /// folder `raw` is, its parent's name says; for `idx` any is right.
  private static func idxFolders(_ name: String) -> [String] {
    switch name {
    case "mnist": ["MNIST/raw"]
    case "fashion-mnist": ["FashionMNIST/raw", "data/fashion"]
    default: ["raw"]
    }
  }

  /// The folders below a directory, also where the directory is the first part of a folder's path itself.
  private static func below(_ directory: String, _ folders: [String]) -> [String] {
    folders.flatMap { folder in
      let parts = folder.split(separator: "/")
      let isInside = parts.count > 1 && directory.split(separator: "/").last == parts[0]
      return ["\(directory)/\(folder)"] + (isInside ? ["\(directory)/\(parts[1])"] : [])
    }
  }

  /// A data set that needs the files of several: found where all are found.
  init(all searches: [DataSetSearch]) {
    places = searches.flatMap(\.places)
    let directories = searches.compactMap(\.directory)
    directory = directories.count == searches.count ? directories.joined(separator: ", ") : nil
    isInDataDirectory = searches.allSatisfy(\.isInDataDirectory)
    paths = [:]
    chosen = searches.flatMap(\.chosen)
    sought = searches.flatMap(\.sought)
  }

  private static func paths(of files: [DataFile], in directory: String) -> [String: String] {
    var paths: [String: String] = [:]
    for file in files { paths[file.names[0]] = path(of: file, in: directory) }
    return paths
  }

  /// A file under one of its names, or in a folder that has one of them. A folder without it is taken as the file, which is
  /// then refused by what it is.
  private static func path(of file: DataFile, in directory: String) -> String? {
    func found(_ folders: [String]) -> [String] {
      folders.flatMap { folder in file.names.flatMap { ["\(folder)/\($0)", "\(folder)/\($0).gz"] } }
        .filter { FileKind(at: $0, followingLinks: true) != nil }
    }
    let here = found([directory])
    func isFile(_ path: String) -> Bool { FileKind(at: path, followingLinks: true) != .directory }
    return here.first(where: isFile)
      ?? found(file.names.map { "\(directory)/\($0)" }).first(where: isFile) ?? here.first
  }

  private static func dataDirectories(name: String, options: DataOptions) -> [String] {
    guard let directory = options.dataDirectory else { return [] }
    guard options.searchesFoldersOnly else { return [directory, "\(directory)/\(name)"] }
    // Below a folder of torchvision there is the data set's own name.
    let own = idxFolders(name).filter { $0.contains("MNIST/") }
    return (own + [name]).map { "\(directory)/\($0)" }
  }

  /// The directories of the search order.
  private static func directories(name: String, options: DataOptions) -> [String] {
    var directories = dataDirectories(name: name, options: options)
    if let root = options.environment["MOE_DIST_DATA"], !root.isEmpty {
      directories.append("\(root)/\(name)")
    }
    directories.append("\(options.systemDirectory)/\(name)")
    if let own = userDirectory(name: name, options.environment) { directories.append(own) }
    return directories
  }

  private static func userDirectory(name: String, _ environment: [String: String]) -> String? {
    if let cache = environment["XDG_CACHE_HOME"], !cache.isEmpty { return "\(cache)/moe-dist/\(name)" }
    if let home = environment["HOME"], !home.isEmpty { return "\(home)/.cache/moe-dist/\(name)" }
    return nil
  }

  /// Where a data set is put that is fetched: one of the directories in which it is looked for, and the user's own.
  ///
  /// - Throws: `Failure(.usage, …)` where the environment names none.
  public static func ownDirectory(name: String, options: DataOptions) throws(Failure) -> String {
    if let directory = options.dataDirectory { return "\(directory)/\(name)" }
    if let root = options.environment["MOE_DIST_DATA"], !root.isEmpty { return "\(root)/\(name)" }
    guard let directory = userDirectory(name: name, options.environment) else {
      throw Failure(
        .usage,
        "no directory for data is known: MOE_DIST_DATA and HOME are not set; give \(setting: "data-dir")")
    }
    return directory
  }

  /// What was found out about each place, for a message.
  public var account: String {
    places.map { place in
      place.isBare || place.missing.isEmpty
        ? place.directory : "\(place.directory) (lacks \(place.missing.joined(separator: ", ")))"
    }.joined(separator: ", ")
  }

  /// The failure of a data set that was not found (66), or that is there in a form that is not read (65).
  func notFound(_ name: String, advice: Message) -> Failure {
    guard let foreign = ForeignFiles(in: chosen, sought: sought) else {
      return Failure(.notFound, "\(name): not found in \(account); \(advice)")
    }
    return Failure(.badData, "\(name): not found in \(account); \(foreign.words)")
  }

  /// A word where the files were not taken from the directory that the user chose.
  func notes(_ name: String, options: DataOptions) -> [Message] {
    guard let chosen = options.dataDirectory, let directory, !isInDataDirectory else { return [] }
    return ["\(name): not complete in the data directory \(chosen); taken from \(directory)"]
  }
}
