import Dist
import Numerics
import Records

/// How this program was made, in words.
enum BuildText {
  /// How it was compiled; the kernels' own flags are part of the package.
  static var flags: String {
    #if DEBUG
      "debug"
    #else
      "release"
    #endif
  }

  /// Version, commit and kind of build.
  static var line: String {
    "moe-dist \(Version.text), commit \(Version.commit ?? "not known"), \(flags) build"
  }

  /// The line, the kernels, and the libraries that are loaded.
  static var version: String {
    let levels = ProcessorLevel.builtIn.map(\.name).joined(separator: ", ")
    return """
      \(line)
      kernels of level \(ProcessorLevel.current.words) in use; built in: \(levels)
      \(mpi)
      \(BLAS.version)
      """
  }

  static var mpi: String { Ranks.libraryVersion.split(separator: ",").first.map { String($0) } ?? "MPI" }
}
