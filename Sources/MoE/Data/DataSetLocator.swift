import Glibc

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

/// Where a data set's files were looked for, and whether they were found. Nothing is opened.
public struct DataSetSearch: Sendable {
  /// A directory, and what it lacks.
  public struct Place: Sendable {
    public let directory: String
    /// The canonical names of the files that are not there; all four when the directory does not exist.
    public let missing: [String]
  }

  /// Every place of the search order, also those after the one that was taken.
  public let places: [Place]
  /// The first directory that has all four files.
  public let directory: String?
  /// The files in it.
  public let files: [DataPart: String]

  /// The paths of the files of a data set: plain or with `.gz`, plain first.
  ///
  /// Directories, in this order: `--data-dir`, `--data-dir/<name>`, `$MOE_DIST_DATA/<name>`,
  /// `/usr/share/datasets/<name>`, `$XDG_CACHE_HOME/moe-dist/<name>` (without it `$HOME/.cache/moe-dist/<name>`).
  public init(name: String, options: DataOptions) {
    var places: [Place] = []
    var taken: (directory: String, files: [DataPart: String])?
    for directory in Self.directories(name: name, options: options) {
      var files: [DataPart: String] = [:]
      var missing: [String] = []
      for part in DataPart.allCases {
        let candidates = part.fileNames.flatMap { ["\(directory)/\($0)", "\(directory)/\($0).gz"] }
        if let path = candidates.first(where: { access($0, F_OK) == 0 }) {
          files[part] = path
        } else {
          missing.append(part.fileNames[0])
        }
      }
      places.append(Place(directory: directory, missing: missing))
      if missing.isEmpty && taken == nil { taken = (directory, files) }
    }
    self.places = places
    directory = taken?.directory
    files = taken?.files ?? [:]
  }

  /// The directories of the search order.
  static func directories(name: String, options: DataOptions) -> [String] {
    var directories: [String] = []
    if let directory = options.dataDirectory { directories += [directory, "\(directory)/\(name)"] }
    if let root = options.environment["MOE_DIST_DATA"], !root.isEmpty {
      directories.append("\(root)/\(name)")
    }
    directories.append("\(options.systemDirectory)/\(name)")
    if let cache = options.environment["XDG_CACHE_HOME"], !cache.isEmpty {
      directories.append("\(cache)/moe-dist/\(name)")
    } else if let home = options.environment["HOME"], !home.isEmpty {
      directories.append("\(home)/.cache/moe-dist/\(name)")
    }
    return directories
  }

  /// What was found out about each place, for an error message.
  var account: String {
    places.map { place in
      place.missing.count == DataPart.allCases.count
        ? place.directory : "\(place.directory) (lacks \(place.missing.joined(separator: ", ")))"
    }.joined(separator: ", ")
  }
}
