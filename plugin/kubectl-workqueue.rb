# The formula for Homebrew. `scripts/manifests` fills in what stands between @ signs.
class KubectlWorkqueue < Formula
  desc "Work queue on Kubernetes, from the broker to the results"
  homepage "@HOMEPAGE@"
  version "@VERSION@"
  license "Apache-2.0"

  on_macos do
    on_arm do
      url "@URL darwin-arm64@"
      sha256 "@SHA256 darwin-arm64@"
    end
    on_intel do
      url "@URL darwin-amd64@"
      sha256 "@SHA256 darwin-amd64@"
    end
  end

  on_linux do
    on_arm do
      url "@URL linux-arm64@"
      sha256 "@SHA256 linux-arm64@"
    end
    on_intel do
      url "@URL linux-amd64@"
      sha256 "@SHA256 linux-amd64@"
    end
  end

  def install
    # The plugin finds the workers beside the file that a link on PATH leads to.
    libexec.install "kubectl-workqueue", *Dir["workqueue-worker-linux-*"]
    bin.install_symlink libexec/"kubectl-workqueue"
    bin.install "kubectl_complete-workqueue"
    bash_completion.install "completions/kubectl-workqueue.bash" => "kubectl-workqueue"
    fish_completion.install "completions/kubectl-workqueue.fish"
    zsh_completion.install "completions/kubectl-workqueue.zsh" => "_kubectl-workqueue"
    man1.install Dir["man/*.1"]
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/kubectl-workqueue --version")
    assert_match "ate apple", shell_output("#{bin}/kubectl-workqueue local apple -- sh -c 'read fruit; echo ate $fruit'")
  end
end
