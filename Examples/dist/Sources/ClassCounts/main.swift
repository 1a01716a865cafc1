// Counts samples by class, over any number of ranks, in two ways that must agree.
//
//   swift build -c release
//   .build/release/ClassCounts 10000                    one rank, without MPI
//   mpirun -np 3 .build/release/ClassCounts 10000       three ranks, the same output

import Dist
import Foundation

/// Samples are numbers; a rank that owns sample i knows its class.
let classes = 10
func classOf(_ sample: Int) -> Int { sample * sample % 11 % classes }

/// An error says how the process ends: a line, and an exit code.
struct Refusal: ProcessError {
  var exitCode: Int32
  var description: String
}

/// The number of samples on the command line.
func sampleCount(_ arguments: [String]) throws(Refusal) -> Int {
  guard let text = arguments.dropFirst().first else { return 10_000 }
  guard let count = Int(text), 1...1 << 24 ~= count else {
    throw Refusal(
      exitCode: 64, description: "'\(text)' is no number of samples; give one from 1 to \(1 << 24)")
  }
  return count
}

/// What every rank does. All ranks make the same collectives in the same order; that is the one rule.
func countClasses(_ comm: any Communicator) throws -> Int32 {
  // An error that every rank finds by itself is thrown as an agreed one: rank 0 prints it, and all ranks end in order.
  let samples: Int
  do { samples = try sampleCount(CommandLine.arguments) } catch { throw AgreedError(error) }

  // Each rank owns a run of samples, the first ranks the first ones.
  let mine = blocks(of: comm.rank, count: samples, ranks: comm.size)

  // 1. All-to-all: samples travel to the rank that owns their class, and are counted there. A buffer for an all-to-all holds
  // what goes to rank 0, then what goes to rank 1, …; a Partition says how much that is for each.
  let owner = { (c: Int) in c * comm.size / classes }
  let parcels = (0..<comm.size).map { rank in mine.filter { owner(classOf($0)) == rank } }
  let outgoing = Partition(counts: parcels.map(\.count))
  // The receiver must know what arrives: the ranks tell each other first.
  let incoming = try comm.incoming(for: outgoing)
  let arrived = try comm.allToAll(parcels.flatMap { $0 }, outgoing, incoming)
  var counted = [Float](repeating: 0, count: classes)
  for sample in arrived { counted[classOf(sample)] += 1 }

  // An error that one rank alone may have, such as an unreadable file, is agreed on before the next collective, where the
  // others would wait for that rank. Everyone passes its own or nil; if there is one, all ranks throw it.
  let stray = arrived.first { owner(classOf($0)) != comm.rank }
  try comm.agree(stray.map { Refusal(exitCode: 70, description: "sample \($0) went astray") })

  // 2. All-reduce: each rank counts its own samples, and the counts are summed over the ranks, on all of them. Sums of floats
  // depend on their order, and so on the number of ranks; whole numbers below 2²⁴ do not.
  var total = [Float](repeating: 0, count: classes)
  for sample in mine { total[classOf(sample)] += 1 }
  try total.withUnsafeMutableBufferPointer { try comm.allReduceSum($0) }

  // Collect what the owners counted. Entry [rank][class] of the gathered array is at rank · classes + class.
  let gathered = try comm.allGather(counted)
  let byOwners = (0..<classes).map { gathered[owner($0) * classes + $0] }
  // Any other error ends the job on every rank, with this rank's name in the line that is printed.
  guard byOwners == total else { throw Refusal(exitCode: 70, description: "\(byOwners) and \(total) differ") }

  guard comm.rank == 0 else { return 0 }
  print("class  samples")
  for (c, count) in total.enumerated() { print("\(c)      \(Int(count))") }
  print("all    \(Int(total.reduce(0, +)))")
  return 0
}

// Enters MPI if a launcher started this process, runs the body on this rank, and returns the exit code of the process. It is
// called once, on the main thread.
exit(
  Ranks.run(
    Program(name: "ClassCounts", usageCode: 64, example: "10000"),
    environment: ProcessInfo.processInfo.environment, countClasses))
