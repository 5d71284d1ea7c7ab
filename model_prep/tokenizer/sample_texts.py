"""Texts that tokenizers are compared on: ordinary ones, and ones that are easy to get wrong."""

CHINESE = (
    "人工智能正在改变我们获取知识的方式，越来越多的人习惯先向机器提问，再去查阅原文。",
    "昨天下午，市图书馆举办了一场关于古代诗歌的讲座，吸引了三百多名读者到场聆听。",
    "合同自双方签字盖章之日起生效，有效期为两年，期满前一个月可以书面形式续签。",
    "这款洗衣机的电机保修十年，整机保修三年；因人为损坏造成的故障不在保修范围之内。",
    "医生建议患者每天饮水不少于一千五百毫升，少吃油炸食品，并保证七到八小时的睡眠。",
    "由于台风逼近，沿海地区的学校全部停课，港口的船只也已陆续回港避风。",
    "研究人员发现，在海拔四千米以上的湖泊中生活着一种此前未被记录的小型甲壳动物。",
    "他把旧自行车擦得锃亮，又给链条上了油，第二天一早就骑着它去了外婆家。",
    "本季度公司营业收入同比增长百分之十二，净利润率提高了一点五个百分点。",
    "请把下面的段落翻译成英文，并用三句话概括它的主要内容。",
    "山路蜿蜒，雾气弥漫，走了大约两个小时，我们才看见半山腰上那座灰瓦白墙的寺庙。",
    "數據庫的備份應當每天進行一次，並且定期檢查能否正常恢復。",
)
ENGLISH = (
    "Machines that read long documents still need someone to ask them the right question.",
    "The library held a lecture on ancient poetry yesterday, and three hundred people came.",
    "This agreement takes effect on the date of signature and remains in force for two years.",
    "The motor is guaranteed for ten years; damage caused by misuse is not covered.",
    "Because of the storm, schools along the coast were closed and ships returned to port.",
    "Revenue grew by twelve percent this quarter, while costs stayed almost unchanged.",
    "He polished the old bicycle, oiled its chain, and set out for his grandmother's house.",
    "Translate the paragraph below into Chinese and sum it up in three sentences.",
)
AWKWARD = (
    "",
    " ",
    "  两个  空格   three   spaces    ",
    "\ttab\t\t制表符\n\n换行\r\nend\n",
    "ＡＢＣ１２３，全角！　空格",
    "表情😀👨‍👩‍👧‍👦🇨🇳和𠮷野家𪚥龘",
    "e\u0301 = é, ﬁ ligature, ½, Ⅷ, ㈱, ﷺ",
    "\x00\x01\x07\x1b[31m\x7f\x85\u200b\u2028\ufeff\ufffd",
    "<s>开始</s><unk>[PAD]<0x0A>▁下划线▁▁<|im_start|>",
    "中英mixed文本with没有空格and数字12345.6789%",
    "啊啊啊啊啊啊啊啊啊啊哈哈哈哈哈哈哈哈哈——……！！！？？",
    "def f(x):\n    return x  # 返回\n\n\n        if x:\n",
)
