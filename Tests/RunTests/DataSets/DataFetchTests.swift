import DataSets
import Files
import Foundation
import Testing

/// A download that is checked, unpacked and put where data are looked for.
struct DataFetchTests {
  private let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
    "moe-dist-fetch-\(UUID().uuidString)")

  private func write(_ bytes: [UInt8], _ name: String) throws -> String {
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    let path = directory.appendingPathComponent(name)
    try Data(bytes).write(to: path)
    return path.path
  }

  /// A POSIX tar archive of plain files, as its standard says: 512 bytes of header, content in blocks of 512, two blocks of
  /// zeros.
  private func tar(_ files: [(path: String, kind: Character, content: [UInt8])]) -> [UInt8] {
    var archive: [UInt8] = []
    for file in files {
      var header = [UInt8](repeating: 0, count: 512)
      func put(_ text: String, _ offset: Int) {
        for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
      }
      put(file.path, 0)
      put("0000644\0", 100)
      let size = String(file.content.count, radix: 8)
      put(String(repeating: "0", count: 11 - size.count) + size + "\0", 124)
      put("        ", 148)
      put(String(file.kind), 156)
      put("ustar\u{0}00", 257)
      let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
      put(String(repeating: "0", count: 6 - sum.count) + sum + "\0 ", 148)
      archive += header + file.content
      archive += [UInt8](repeating: 0, count: (512 - file.content.count % 512) % 512)
    }
    return archive + [UInt8](repeating: 0, count: 1024)
  }

  private func resource(_ archive: [UInt8], _ members: [String]) -> Publication.Resource {
    Publication.Resource(
      name: "set.tar", size: archive.count, check: .archive(sha256(archive), members: members))
  }

  @Test func knownNamesAreTakenFromAnArchive() throws {
    defer { try? FileManager.default.removeItem(at: directory) }
    let content = (0..<1000).map { UInt8($0 % 251) }
    let archive = tar([
      ("set/", "5", []), ("set/readme.html", "0", [1, 2, 3]), ("set/train.bin", "0", content),
      ("../test.bin", "0", [7]), ("set/batches.meta.txt", "0", []),
    ])
    let resource = resource(archive, ["train.bin", "test.bin"])
    let download = try write(archive, "set.tar.download")
    #expect(!resource.isThere(in: directory.path))
    try resource.install(download, into: directory.path)
    #expect(resource.isThere(in: directory.path))
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
    // A path out of the directory is a name in it.
    #expect(names == ["test.bin", "train.bin"])
    #expect(try [UInt8](Data(contentsOf: directory.appendingPathComponent("train.bin"))) == content)
  }

  @Test func anArchiveThatLacksAFileIsRefused() throws {
    defer { try? FileManager.default.removeItem(at: directory) }
    let archive = tar([("train.bin", "0", [1])])
    let download = try write(archive, "set.tar.download")
    let failure = #expect(throws: Failure.self) {
      try resource(archive, ["train.bin", "test.bin"]).install(download, into: directory.path)
    }
    #expect(failure?.code == .badData && failure?.message.contains("lacks test.bin") == true)
  }

  /// What a link, a cut archive or another file says is not taken, whatever its checksum.
  @Test func whatIsNoArchiveIsRefused() throws {
    defer { try? FileManager.default.removeItem(at: directory) }
    let whole = tar([("train.bin", "0", [UInt8](repeating: 5, count: 2000))])
    var wrongSum = whole
    wrongSum[0] ^= 1
    for bytes in [
      [UInt8](repeating: 1, count: 600), Array(whole[..<700]), wrongSum, [], tar([("train.bin", "2", [])]),
    ] {
      let download = try write(bytes, "set.tar.download")
      let failure = #expect(throws: Failure.self) {
        try resource(bytes, ["train.bin"]).install(download, into: directory.path)
      }
      #expect(failure?.code == .badData)
      let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
      #expect(names.filter { $0 != "set.tar.download" }.isEmpty)
    }
  }

  @Test func anotherChecksumIsRefused() throws {
    defer { try? FileManager.default.removeItem(at: directory) }
    let archive = tar([("train.bin", "0", [1])])
    let download = try write(archive + [0], "set.tar.download")
    let failure = #expect(throws: Failure.self) {
      try resource(archive, ["train.bin"]).install(download, into: directory.path)
    }
    #expect(failure?.code == .badData && failure?.message.contains("expected \(sha256(archive))") == true)
  }

  @Test func whatIsPublishedIsReachedByHTTPSAlone() {
    let publications = DataSetRegistry.all.compactMap(\.publication)
    #expect(publications.count == 4)
    for address in publications.flatMap(\.addresses) {
      #expect(address.hasPrefix("https://") && !address.hasSuffix("/"))
    }
  }

  @Test func dataAreFetchedToWhereTheyAreLookedFor() throws {
    let environments = [
      ["MOE_DIST_DATA": "/d"], ["XDG_CACHE_HOME": "/c", "HOME": "/h"], ["HOME": "/h"],
    ]
    for (environment, expected) in zip(
      environments, ["/d/mnist", "/c/moe-dist/mnist", "/h/.cache/moe-dist/mnist"])
    {
      let options = DataOptions(environment: environment)
      let own = try DataSetSearch.ownDirectory(name: "mnist", options: options)
      #expect(own == expected)
      #expect(DataSetSearch(name: "mnist", options: options).places.map(\.directory).contains(own))
    }
    #expect(throws: Failure.self) {
      try DataSetSearch.ownDirectory(name: "mnist", options: DataOptions(environment: [:]))
    }
  }
}
