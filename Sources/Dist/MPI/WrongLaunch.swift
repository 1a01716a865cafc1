/// Ranks that a launcher started for another MPI library than this program's: every one of them is alone, and would do the
/// whole work by itself.
package struct WrongLaunch: ProcessError {
  /// How many the launcher started.
  package let tasks: Int
  private let program: Program

  /// Variables in which a launcher says how many processes it started: Open MPI's own, srun's, and those of the PMI protocol,
  /// which the launchers of MPICH, Intel MPI (Hydra) and MVAPICH speak.
  ///
  /// Inside a batch script SLURM_NTASKS is set for programs that srun did not start, too; SLURM_STEP_NUM_TASKS is not.
  private static let sizes = [
    "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "PMI_SIZE", "MV2_COMM_WORLD_SIZE",
  ]

  /// - Parameter size: how many ranks MPI says that there are.
  /// - Returns: nil where MPI knows of other ranks, or the launcher of none.
  package init?(_ program: Program, _ environment: [String: String], size: Int) {
    guard size == 1,
      let tasks = Self.sizes.lazy.compactMap({ environment[$0].flatMap { Int($0) } }).first(where: { $0 > 1 })
    else { return nil }
    self.tasks = tasks
    self.program = program
  }

  package var exitCode: Int32 { program.usageCode }
  package var description: String {
    "started \(tasks) times as \(tasks) separate jobs of one rank, because the launcher and this program use different "
      + "MPI libraries; use Open MPI's 'mpirun -np \(tasks) \(program.name) \(program.example)' or "
      + "'srun --mpi=pmix \(program.name) \(program.example)'"
  }
}
