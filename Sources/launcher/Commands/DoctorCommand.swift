import ArgumentParser
import DataSets
import Dist
import Files
import Foundation
import Numerics
import Records

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "What is here, what is missing, and what to do about it; alone or under mpirun.")

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    let code = Program.run("doctor", [], environment) { comm in
      let hosts = try comm.allGather(text: comm.hostName)
      let kernels = try comm.allGather(text: BLAS.kernelName)
      guard comm.rank == 0 else { return 0 }
      let lines = Doctor(environment: environment).lines(hosts: hosts, kernels: kernels)
      for line in lines { Console.output("\(line.mark)  \(line.text)\n") }
      return lines.contains { $0.mark == .fail } ? 1 : 0
    }
    Program.end(code, environment)
  }
}

/// Looks around.
struct Doctor {
  enum Mark: String, CustomStringConvertible {
    case ok = "[ok]  "
    case warn = "[warn]"
    case fail = "[FAIL]"
    var description: String { rawValue }
  }

  struct Line {
    let mark: Mark
    let text: String
  }

  let environment: [String: String]

  func lines(hosts: [String], kernels: [String]) -> [Line] {
    [
      Line(mark: .ok, text: BuildText.line),
      level,
      Line(mark: .ok, text: BuildText.mpi),
      Line(
        mark: Set(kernels).count == 1 && BLAS.kernelAdvice == nil ? .ok : .warn,
        text: "\(BLAS.version), kernel \(Set(kernels).sorted().joined(separator: " and "))"
          + (Set(kernels).count == 1
            ? BLAS.kernelAdvice.map { ": \($0)" } ?? ""
            : ": with --products openblas results depend on placement; set OPENBLAS_CORETYPE on every host")),
      cores(hosts),
    ] + data() + [writing()] + interruptions() + leftovers()
  }

  private var level: Line {
    let current = ProcessorLevel.current
    let available = ProcessorLevel.available ?? current
    let held = current < available ? ", held there by \(ProcessorLevel.variable)" : ""
    return Line(
      mark: .ok,
      text:
        "kernels of level \(current.words)\(held); processor and operating system offer \(available.words)")
  }

  private func cores(_ hosts: [String]) -> Line {
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let here = hosts.filter { $0 == hosts[0] }.count
    let all = Dictionary(grouping: hosts) { $0 }.map { "\($0.key): \($0.value.count)" }.sorted()
    let text = "\(cores) cores on this host; ranks per host: \(all.joined(separator: ", "))"
    return here <= cores
      ? Line(mark: .ok, text: text)
      : Line(
        mark: .warn, text: text + "; more ranks than cores: results are right, timings are no measurement")
  }

  private func data() -> [Line] {
    DataSetRegistry.all.filter { $0.name != "idx" }.map { source in
      guard let search = source.search(DataOptions(environment: environment)) else {
        return Line(mark: .ok, text: "data set \(source.name): built in")
      }
      if let directory = search.directory {
        return Line(mark: .ok, text: "data set \(source.name): \(directory)")
      }
      return Line(
        mark: .warn,
        text: "data set \(source.name): not found in \(search.account); \(source.advice.text(as: .options))")
    }
  }

  /// Runs in this directory's `runs` that no process goes on with, although none of them has ended.
  private func interruptions() -> [Line] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "runs")) ?? []
    return names.sorted().compactMap { name in
      let run = "runs/\(name)"
      guard (try? RunDirectory.interruption(of: run)) ?? nil != nil else { return nil }
      return Line(
        mark: .warn,
        text:
          "\(run): interrupted, its process was killed, or its host failed; go on with moe-dist train --resume auto "
          + "--run-dir \(run)")
    }
  }

  /// What Open MPI left of jobs that were killed.
  private func leftovers() -> [Line] {
    let paths = OpenMPISession.leftovers(environment)
    guard let first = paths.first else { return [] }
    let others = paths.count == 1 ? "" : " and \(paths.count - 1) more"
    return [
      Line(
        mark: .warn,
        text:
          "\(first)\(others): left by a killed mpirun, used by no process; remove with rm -r '\(paths.joined(separator: "' '"))'"
      )
    ]
  }

  private func writing() -> Line {
    let path = "moe-dist-doctor-\(ProcessInfo.processInfo.processIdentifier).tmp"
    let start = Date()
    defer { unlink(path) }
    do throws(Failure) {
      let file = try CheckedFile.creating(path)
      try file.write("x")
      try file.synchronise()
    } catch {
      return Line(
        mark: .fail,
        text: "this directory cannot be written: \(error.words.text(as: .options)); use --run-dir elsewhere")
    }
    let milliseconds = Date().timeIntervalSince(start) * 1000
    return Line(
      mark: .ok, text: String(format: "this directory can be written, fsync in %.1f ms", milliseconds))
  }
}
