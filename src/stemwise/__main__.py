from stemwise.cli import main

main()
