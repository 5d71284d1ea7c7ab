"""LaTeX: what is printed, not what is commented out or only places it."""

from pathlib import Path

from rag_app.documents.loaders import FileLoader
from rag_app.documents.markup.latex import latex_markdown

SOURCE = r"""\documentclass[UTF8]{ctexart}
% 内部：底价 300 万
\title{水泵\\操作规程}
\author{张三\thanks{设备科}}
\newcommand{\pump}{离心泵}
\begin{document}
\maketitle
\section{\pump{}的安全}\label{sec:a}
\begin{enumerate}
\item 断电。% 旧版：先通电
\item 挂牌
并上锁。
\end{enumerate}
\begin{comment}
不显示
\end{comment}
单价 \$5，\textbf{A\&B}，见图~\ref{fig:a}。
\begin{verbatim}
rm % all
\end{verbatim}
\end{document}
隐藏
"""


def test_what_is_printed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "规程.tex"
    path.write_bytes(SOURCE.encode("gb18030"))
    (document,) = FileLoader(path).load()
    assert document.page_content == (
        "# 水泵 操作规程\n\n张三 [设备科]\n\n## 离心泵的安全\n\n1. 断电。\n2. 挂牌并上锁。\n\n"
        "单价 $5，A&B，见图 。\n\n```\nrm % all\n```"
    )


def test_tables_have_the_names_of_their_columns_and_merged_cells() -> None:
    table = (
        r"\begin{tabular}{|l|p{2cm}|}\hline 型号 & 功率 \\ \hline \multirow{2}{*}{30} & 1.5 \\"
        r"\cline{2-2} & 2.2 \\ \hline\end{tabular}"
    )
    assert latex_markdown(table) == "型号: 30; 功率: 1.5\n型号: 30; 功率: 2.2"


def test_equations_stay_and_powers_are_raised() -> None:
    source = (
        r"容积 10\textsuperscript{3}，\(E=mc^2\)。\begin{equation}\label{a}a_1 \% b\end{equation}"
    )
    assert latex_markdown(source) == "容积 10³，$E=mc^2$。\n\n$$a_1 \\% b$$"
    assert latex_markdown(r"M\"obius na\"{i}ve 1--2 ``so''") == "Möbius naïve 1–2 “so”"


def test_definitions_of_words_and_numbers() -> None:
    source = r"\newcommand{\rate}{3.65\%}\newcommand{\bfx}{\bfseries}\def\firm{ACME}"
    body = r"\begin{document}\firm{} 年利率为\rate{}，\bfx 最长。\end{document}"
    assert latex_markdown(source + body) == "ACME 年利率为3.65%，最长。"
