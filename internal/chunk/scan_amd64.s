#include "textflag.h"

// func scanWide(p *byte, blocks int, c1, c2, threshold uint32) (k int, mask uint32)
//
// Y13, Y14, Y15 hold c1, c2 and the threshold in each lane. In one block, the vector at offset o (0 to 3) holds the
// sums of positions o, o+4, o+8, ..., so lane l of it speaks for position 4l+o. Sums are compared without sign by
// x >= t <=> max(x, t) == x.
TEXT ·scanWide(SB), NOSPLIT, $0-44
	MOVQ p+0(FP), SI
	MOVQ blocks+8(FP), CX
	MOVL c1+16(FP), AX
	VMOVD AX, X13
	VPBROADCASTD X13, Y13
	MOVL c2+20(FP), AX
	VMOVD AX, X14
	VPBROADCASTD X14, Y14
	MOVL threshold+24(FP), AX
	VMOVD AX, X15
	VPBROADCASTD X15, Y15
	XORQ DX, DX
	XORL AX, AX
	TESTQ CX, CX
	JLE  done

loop:
	VPMULLD (SI), Y13, Y0
	VPMULLD 1(SI), Y13, Y1
	VPMULLD 2(SI), Y13, Y2
	VPMULLD 3(SI), Y13, Y3
	VPMULLD 4(SI), Y14, Y4
	VPMULLD 5(SI), Y14, Y5
	VPMULLD 6(SI), Y14, Y6
	VPMULLD 7(SI), Y14, Y7
	VPADDD Y4, Y0, Y0
	VPADDD Y5, Y1, Y1
	VPADDD Y6, Y2, Y2
	VPADDD Y7, Y3, Y3
	VPMAXUD Y0, Y1, Y8
	VPMAXUD Y2, Y3, Y9
	VPMAXUD Y8, Y9, Y8
	VPMAXUD Y8, Y15, Y9
	VPCMPEQD Y8, Y9, Y9
	VPTEST Y9, Y9
	JNZ  hit
	ADDQ $32, SI
	INCQ DX
	CMPQ DX, CX
	JLT  loop

done:
	VZEROUPPER
	MOVQ DX, k+32(FP)
	MOVL AX, mask+40(FP)
	RET

hit:
	// Each lane of a comparison is all ones or all zeros. Byte o of the lane is kept from the vector at offset o, so
	// that byte 4l+o of the joined vector, and bit 4l+o of its byte mask, speak for position 4l+o.
	VPMAXUD Y0, Y15, Y8
	VPCMPEQD Y0, Y8, Y0
	VPMAXUD Y1, Y15, Y8
	VPCMPEQD Y1, Y8, Y1
	VPMAXUD Y2, Y15, Y8
	VPCMPEQD Y2, Y8, Y2
	VPMAXUD Y3, Y15, Y8
	VPCMPEQD Y3, Y8, Y3
	VPSRLD $24, Y0, Y0
	VPSRLD $24, Y1, Y1
	VPSLLD $8, Y1, Y1
	VPSRLD $24, Y2, Y2
	VPSLLD $16, Y2, Y2
	VPSLLD $24, Y3, Y3
	VPOR Y0, Y1, Y0
	VPOR Y2, Y3, Y2
	VPOR Y0, Y2, Y0
	VPMOVMSKB Y0, AX
	JMP  done
