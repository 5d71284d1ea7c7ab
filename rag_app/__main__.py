"""The command ``rag-app``, also as ``python -m rag_app``."""

import sys


def main() -> None:
    """Run the command line; on a busy machine Ctrl-C may come while it is being imported."""
    try:
        if sys.argv[1:2] == ["ask"]:
            from rag_app.engine.ahead import begin

            begin(sys.argv[1:])
        from rag_app.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("rag-app: interrupted\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
