import ArgumentParser
import DataSets
import Files
import Foundation
import Records

/// `data fetch`: gets data sets from where they are published.
struct DataFetchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fetch",
    abstract: "Downloads data sets by curl, and checks their SHA-256.",
    discussion: """
      Into --data-dir/NAME, $MOE_DIST_DATA/NAME, or the user's cache, where the other commands look. A download that broke \
      off goes on with the same command. Exit code 66 where it cannot be reached, 65 where it is not as published.
      """)

  @Argument(
    help: ArgumentHelp("mnist, fashion-mnist, cifar-10, cifar-100.", valueName: "NAME"),
    completion: .publishedDataSets)
  var names: [String]

  @Option(
    help: ArgumentHelp(
      "Another place with the published files: an address without the file's name, or a directory.",
      valueName: "URL|DIR"), completion: .directory)
  var mirror: String?

  @OptionGroup var place: DataCommand.DirectoryOption

  func run() throws {
    DataCommand.alone(place.directory) { options in
      for name in names { try fetch(name, options) }
      return 0
    }
  }

  private func fetch(_ name: String, _ options: DataOptions) throws {
    let source = try DataSetRegistry.source(named: name)
    guard let publication = source.publication else {
      let known = DataSetRegistry.all.filter { $0.publication != nil }.map(\.name).joined(separator: ", ")
      throw Failure(.usage, "'\(name)' is not fetched; those that are: \(known)")
    }
    let directory = try DataSetSearch.ownDirectory(name: name, options: options)
    let missing = publication.resources.filter { !$0.isThere(in: directory) }
    if missing.isEmpty {
      Console.output("\(name): already in \(directory); 'moe-dist data verify \(name)' checks it\n")
      return
    }
    try SafeFile.makeDirectories(directory)
    let size = missing.reduce(0) { $0 + $1.size }
    Console.error("\(name): \(bytesText(size)) to fetch into \(directory)")
    for resource in missing { try get(resource, publication.addresses, into: directory, options.environment) }
    Console.output("\(name): fetched into \(directory), as published\n")
  }

  private func get(
    _ resource: Publication.Resource, _ addresses: [String], into directory: String,
    _ environment: [String: String]
  ) throws {
    let path = "\(directory)/\(resource.name).download"
    // Held while curl writes, so that two do not write one file.
    let file = try CheckedFile.locking(path)
    if let problem = file.lock() {
      throw Failure(.cannotCreate, "\(path): another process is fetching it (\(problem.words))")
    }
    if let mirror, !mirror.contains("://") {
      try copy("\(mirror)/\(resource.name)", to: file)
      try resource.install(path, into: directory)
      return
    }
    let download = Download(environment: environment)
    var failure: Failure?
    for address in mirror.map({ [$0] }) ?? addresses {
      let whole = (address.hasSuffix("/") ? address : address + "/") + resource.name
      do throws(Failure) {
        try download.run(whole, to: path, isOpen: mirror != nil)
        try resource.install(path, into: directory)
        return
      } catch {
        // What another address has may be right, and goes on from nothing.
        guard error.code == .notFound || error.code == .badData else { throw error }
        if error.code == .badData { try file.empty() }
        failure = failure ?? error
      }
    }
    if try file.size() == 0 { try CheckedDirectory.remove(path) }
    if let failure { throw failure }
  }

  private func copy(_ source: String, to file: borrowing CheckedFile) throws {
    guard let bytes = try SafeFile.read(source, limit: 1 << 30, followingLinks: true) else {
      throw Failure(.notFound, "\(source): there is no such file")
    }
    try file.empty()
    try file.write(bytes, at: 0)
  }
}
